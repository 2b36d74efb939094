# Cluster Queue's node agent. POSIX sh (dash, bash, busybox ash); no root, nothing to install, no daemon.
#
#   sh agent.sh session          one per connection: requests on stdin, answers and events on stdout
#   bash agent.sh supervise DIR …  one per running job (rank), detached; outlives every connection
#   sh agent.sh kill DIR GRACE   one per cancel, detached
#
# The line protocol is described in wire.ts. Everything kept on the node is below ROOT:
#   jobs/UUID/  env, run (what to run) · claim, sup (who supervises) · run.log · cancel · exit ("CODE UPTIME BOOT .")
#   sessions/PID/ev   a FIFO into which supervisors push what happened; the session's mux is its only reader
set -f
umask 077
AGENT=$0
# Not the login shell's choice: a C locale counts bytes, and byte offsets are what logs are addressed by.
LC_ALL=C
export LC_ALL
unset CDPATH ENV BASH_ENV CLUSTER_QUEUE_JOB

node_id() {
  host=$(uname -n)
  machine=
  [ -r /etc/machine-id ] && IFS= read -r machine </etc/machine-id
  # On a home that many nodes share the host name alone may not tell them apart (cloned images).
  machine=$(printf %.8s "$machine")
  NODE=${CLUSTER_QUEUE_NODE_ID:-$host${machine:+-$machine}}
}
ROOT=$HOME/.cluster-queue/${CLUSTER_QUEUE_NODE:=$(node_id; printf %s "$NODE")}
export CLUSTER_QUEUE_NODE

boot_id() {
  BOOT=none
  file=${CLUSTER_QUEUE_BOOT_ID_FILE:-/proc/sys/kernel/random/boot_id}
  [ -r "$file" ] && IFS= read -r BOOT <"$file"
  return 0
}

# Seconds on a clock that nobody sets: sets NOW.
uptime_s() {
  if [ -r /proc/uptime ]; then read -r NOW _ </proc/uptime; NOW=${NOW%.*}; else NOW=$(date +%s); fi
}

# Sets START to the start time of process $1 (unique with the pid), or to nothing when it is gone or a zombie.
start_of() {
  START=
  if [ -d /proc/self ]; then
    { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
    set -- ${line##*) }
    [ "$1" = Z ] || [ "$1" = X ] || START=${20}
  else
    START=$(ps -o lstart= -p "$1" 2>/dev/null | tr -d ' ')
  fi
  [ -n "$START" ]
}

# Pushes one line to every open session. O_RDWR: a FIFO whose session died has no reader and must not block.
push() {
  set +f
  for fifo in "$ROOT"/sessions/*/ev; do
    [ -p "$fifo" ] && printf '%s\n' "$1" 1<>"$fifo"
  done 2>/dev/null
  set -f
}

# ---------------------------------------------------------------- processes of a job

# Prints the pids of job $1 (directory): whoever carries its mark in the environment, which children inherit however
# they daemonise; orphans in the supervisor's session; and all their descendants. Never the supervisor and its helpers.
job_pids() {
  uuid=${1##*/}
  sup=
  if [ -r "$1/sup" ] && read -r sup began boot _ <"$1/sup"; then
    # A supervisor that died may have left its number, and so its session's, to a stranger.
    [ "$boot" = "$BOOT" ] || sup=
    [ -z "$sup" ] || ! start_of "$sup" || [ "$START" = "$began" ] || sup=
  fi
  set +f
  if [ -d /proc/self ]; then
    { grep -lsF "CLUSTER_QUEUE_JOB=$uuid" ${ENVIRONS:-/proc/[0-9]*/environ}; cat ${STATS:-/proc/[0-9]*/stat}; } 2>/dev/null
  else
    ps -A -E -o pid=,command= 2>/dev/null | grep -F "CLUSTER_QUEUE_JOB=$uuid" | while read -r pid _; do
      printf '/proc/%s/environ\n' "$pid"
    done
    ps -A -o pid=,ppid=,sess= 2>/dev/null | while read -r pid ppid sess; do
      printf '%s (x) S %s 0 %s\n' "$pid" "$ppid" "$sess"
    done
  fi | awk -v sup="${sup:-none}" '
    /^\/proc\// { split($0, part, "/"); mine[part[3]] = 1; next }
    { pid = $1; sub(/^.*\) /, ""); if ($1 == "Z" || $1 == "X") next
      parent[pid] = $2; if ($4 == sup) member[pid] = 1 }
    END {
      # Who descends from the supervisor without the mark is a helper of its (this very pipeline, for one).
      for (pid in member) {
        for (up = pid; up in parent && up != sup; up = parent[up]) {}
        if (up != sup) mine[pid] = 1
      }
      delete mine[sup]
      do { grew = 0
        for (pid in parent) if (!(pid in mine) && (parent[pid] in mine)) { mine[pid] = 1; grew = 1 }
      } while (grew)
      for (pid in mine) if (pid in parent) print pid
    }'
  set -f
}

# Sets FORKS to the number of forks since the boot and LAST to the newest pid; fails where /proc does not tell. For bash.
fork_count() {
  FORKS=
  IFS= read -r -d '' all </proc/stat
  case $all in *"
processes "*) ;; *) return 1 ;; esac
  all=${all#*"
processes "}
  read -r _ _ _ _ LAST </proc/loadavg || return 1
  FORKS=${all%%[!0-9]*}
} 2>/dev/null

# Whether processes of the supervisor's job may be left. A look at all of /proc costs more than all else that ends a
# job; but pids go up, so with few forks since the supervisor's own the job's are between its pid and the newest.
left_behind() {
  [ -n "$FIRST_FORKS" ] && fork_count || return 0
  [ $((FORKS - FIRST_FORKS)) -lt 1000 ] && [ "$LAST" -gt $$ ] && [ $((LAST - $$)) -lt 1000 ] || return 0
  ENVIRONS= STATS= seen=$$
  # Again for those that came meanwhile: one may have had a child and ended before it was looked at.
  while [ "$LAST" -gt "$seen" ]; do
    while [ "$seen" -lt "$LAST" ]; do
      seen=$((seen + 1))
      [ ! -d /proc/$seen ] || { ENVIRONS="$ENVIRONS /proc/$seen/environ" STATS="$STATS /proc/$seen/stat"; }
    done
    read -r _ _ _ _ LAST </proc/loadavg
  done
  if [ "$LAST" -lt "$seen" ]; then ENVIRONS= STATS=; return 0; fi
  [ -z "$STATS" ] && return 1
  pids=$(job_pids "$JOB")
  ENVIRONS= STATS=
  [ -n "$pids" ]
}

# Ends every process of job $1: TERM, up to $2 seconds of grace, then KILL until none is left.
kill_tree() {
  pids=$(job_pids "$1")
  [ -n "$pids" ] || return 0
  kill -TERM $pids 2>/dev/null
  kill -CONT $pids 2>/dev/null
  uptime_s
  deadline=$((NOW + $2))
  pause=0.02
  while :; do
    sleep "$pause" 2>/dev/null || sleep 1
    pids=$(job_pids "$1")
    [ -n "$pids" ] || return 0
    uptime_s
    # Whole seconds: rather up to one more than one less.
    [ "$NOW" -le "$deadline" ] || break
    case $pause in 0.02) pause=0.05 ;; 0.05) pause=0.1 ;; *) pause=0.3 ;; esac
  done
  tries=0
  while [ -n "$pids" ] && [ "$tries" -lt 100 ]; do
    kill -KILL $pids 2>/dev/null
    sleep 0.02 2>/dev/null || sleep 1
    pids=$(job_pids "$1")
    tries=$((tries + 1))
  done
}

supervisor_lives() {
  began=
  [ -e "$1/sup" ] && read -r sup began _ <"$1/sup" && start_of "$sup" && [ "$START" = "$began" ]
}

kill_job() {
  # Until the supervisor has told the end: it may have been about to start the job when the tree was empty.
  boot_id
  tries=0
  while [ ! -e "$1/exit" ]; do
    [ -p "$1/go" ] && printf 'cancel\n' 1<>"$1/go"
    kill_tree "$1" "$2"
    [ -e "$1/exit" ] && return
    if ! supervisor_lives "$1"; then
      tries=$((tries + 1))
      # One that has only just been started may not have written its name yet.
      [ $tries -lt 20 ] || break
    fi
    sleep 0.05 2>/dev/null || sleep 1
  done
  [ -e "$1/exit" ] && return
  uptime_s
  printf '143 %s %s .\n' "$NOW" "$BOOT" >"$1/exit"
  push "X ${1##*/} 143 0 cancelled"
}

# ---------------------------------------------------------------- leases

lease_dir() {
  # /dev/shm is per boot, sticky, and never swept by a cleaner of /tmp.
  LEASES=${CLUSTER_QUEUE_LEASES:-/dev/shm/cluster-queue}
  [ -d "${LEASES%/*}" ] && [ -w "${LEASES%/*}" ] || LEASES=/tmp/.cluster-queue-leases
  [ -d "$LEASES" ] || mkdir -m 1777 "$LEASES" 2>/dev/null
}

# Locks device $1 on file descriptor $2, or prints nothing and fails. "s:NAME" shares it (fractions of one GPU).
lease() {
  mode=-x name=$1
  case $1 in s:*) mode=-s name=${1#s:} ;; esac
  file=$LEASES/$name
  [ -e "$file" ] || (umask 0; : >"$file") 2>/dev/null
  if command -v flock >/dev/null 2>&1; then
    # Opened read-only: another user's lock file can be locked, but (sticky folder) neither changed nor removed.
    eval "exec $2<\"\$file\"" && flock -n $mode "$2"
  else
    lease_by_mkdir "$file.held"
  fi
}

# Without flock(1): a folder made by one atomic mkdir, naming its owner, taken over when that process is gone.
lease_by_mkdir() {
  if ! mkdir "$1" 2>/dev/null; then
    read -r owner began <"$1/owner" 2>/dev/null || return 1
    start_of "$owner" && [ "$START" = "$began" ] && return 1
    mv "$1" "$1.$$" 2>/dev/null && rm -rf "$1.$$" && mkdir "$1" 2>/dev/null || return 1
  fi
  start_of $$
  printf '%s %s\n' $$ "$START" >"$1/owner"
  HELD="$HELD $1"
}

# ---------------------------------------------------------------- the supervisor

# supervise DIR GRACE HOLD SNAPSHOT [DEVICE …]
supervise() {
  JOB=$1 GRACE=$2 HOLD=$3 SNAPSHOT=$4
  shift 4
  UUID=${JOB##*/}
  HELD=
  # One of two starts of the same UUID gets past here (O_EXCL).
  (set -C; : >"$JOB/claim") 2>/dev/null || exit 0
  boot_id; uptime_s; start_of $$
  fork_count; FIRST_FORKS=$FORKS
  printf '%s %s %s %s .\n' $$ "$START" "$BOOT" "$NOW" >"$JOB/sup"
  cd "$HOME" || cd /
  lease_dir
  CODE= HOW=exit
  # Room for the end, so that it can be told when the job has filled the disk.
  printf '%100s\n' '' >"$JOB/end"
  if copy_workdir; then lease_and_run "$@"; else CODE=1; fi
  [ "$HOW" = busy ] && return
  uptime_s
  printf '%s %s %s .\n' "$CODE" "$NOW" "$BOOT" 1<>"$JOB/end"
  mv "$JOB/end" "$JOB/exit"
  # Secrets may be in there.
  : >"$JOB/env"
  # The devices are free before anybody hears of it: the next start may come within a millisecond.
  close_leases
  [ -z "$HELD" ] || rm -rf $HELD
  push "X $UUID $CODE 0 $HOW"
}

# The job's own copy of its workdir, made before it holds any device.
copy_workdir() {
  [ "$SNAPSHOT" != - ] || return 0
  touch "$ROOT/work/$SNAPSHOT" 2>/dev/null
  cp -a --reflink=auto "$ROOT/work/$SNAPSHOT" "$JOB/workdir" 2>/dev/null && return
  rm -rf "$JOB/workdir"
  cp -Rp "$ROOT/work/$SNAPSHOT" "$JOB/workdir" 2>"$JOB/rc.log" && return
  : >"$JOB/began"
  { echo "cluster-queue: the workdir could not be copied for this job:"; head -n 5 "$JOB/rc.log"; } >>"$JOB/run.log" 2>&1
  return 1
}

# unpack NAME: a workdir as tar.gz on stdin, whole or not at all
unpack() {
  work=$ROOT/work
  mkdir -p "$work/$1.new.$$" || exit 1
  # Those that no job has used for two weeks make room.
  find "$work" -maxdepth 1 -mindepth 1 -mtime +14 -exec rm -rf {} + 2>/dev/null
  if tar -xzf - -C "$work/$1.new.$$"; then
    [ -d "$work/$1" ] || mv "$work/$1.new.$$" "$work/$1" || exit 1
    rm -rf "$work/$1.new.$$"
    echo CQ1 ok
  else
    rm -rf "$work/$1.new.$$"
    exit 1
  fi
}

# Locks the devices and runs the job, which inherits the locks: they last as long as any process of it, also when the
# supervisor is killed. Descriptors of two digits are bash's; those just above 9 it takes for itself.
FIRST_LEASE=20
LAST_LEASE=19
lease_and_run() {
  for device in "$@"; do
    LAST_LEASE=$((LAST_LEASE + 1))
    if ! lease "$device" "$LAST_LEASE"; then
      HOW=busy
      close_leases
      [ -z "$HELD" ] || rm -rf $HELD
      # Not known here any more: the engine plans again, perhaps for this very node.
      mv "$JOB" "$JOB.busy.$$" && rm -rf "$JOB.busy.$$"
      push "B $UUID ${device#s:}"
      return
    fi
  done
  wait_for_go && run_job
}

close_leases() {
  fd=$FIRST_LEASE
  while [ "$fd" -le "$LAST_LEASE" ]; do
    eval "exec $fd<&-"
    fd=$((fd + 1))
  done
}

# A rank of a gang holds its devices and waits, at most a minute, for word that all others have theirs.
wait_for_go() {
  [ "$HOLD" = hold ] || { [ ! -e "$JOB/cancel" ] || { CODE=143 HOW=cancelled; return 1; }; return 0; }
  mkfifo "$JOB/go"
  # Open before anybody is told: what is written to a FIFO that nobody has open is lost.
  exec 3<>"$JOB/go"
  # Without the leases: its sleep outlives it when it is called off.
  (close_leases; sleep "${CLUSTER_QUEUE_GO_TIMEOUT:-60}"; printf 'timeout\n' 1<>"$JOB/go") >/dev/null 2>&1 &
  watchdog=$!
  push "R $UUID"
  # A cancel may have come before the FIFO was there.
  word=
  [ -e "$JOB/cancel" ] && word=cancel
  [ -n "$word" ] || read -r word <&3
  exec 3<&-
  kill $watchdog 2>/dev/null
  rm -f "$JOB/go"
  [ "$word" = go ] && return 0
  CODE=143 HOW=no-go
  [ "$word" != cancel ] || HOW=cancelled
  return 1
}

run_job() {
  uptime_s
  printf '%s .\n' "$NOW" >"$JOB/started"
  : >>"$JOB/run.log"
  push "S $UUID 0"
  # Interactive, as SkyPilot runs it: ~/.bashrc is where `conda activate` comes from. What bash says about a missing
  # terminal, and what ~/.bashrc prints, goes to rc.log. An interactive bash ignores TERM: the trap ends it after the
  # command that TERM has just ended.
  CLUSTER_QUEUE_JOB=$UUID CQ_JOB_DIR=$JOB CQ_BIN=${AGENT%.sh}.bin bash -i -c '
    : >"$CQ_JOB_DIR/began"
    exec >>"$CQ_JOB_DIR/run.log" 2>&1
    trap "exit 143" TERM
    . "$CQ_JOB_DIR/env"
    . "$CQ_JOB_DIR/run"
  ' run </dev/null >"$JOB/rc.log" 2>&1 &
  child=$!
  wait $child
  CODE=$?
  HOW=exit
  ! left_behind || kill_tree "$JOB" "$GRACE"
  if [ -e "$JOB/cancel" ]; then
    HOW=cancelled
  elif [ ! -e "$JOB/began" ]; then
    HOW=rc
    printf 'cluster-queue: ~/.bashrc ended the shell (exit code %s) before the task began. It said:\n' "$CODE" >>"$JOB/run.log"
    cat "$JOB/rc.log" >>"$JOB/run.log"
  fi
}

# ---------------------------------------------------------------- the session: requests

reply() { printf '%s\n' "$1" >&8; }

told_end() {
  [ -e "$job/exit" ] && read -r code ended ended_boot dot <"$job/exit" && [ "$dot" = . ]
}

# Says what became of job $1: "state" lines of wire.ts.
tell_state() {
  job=$ROOT/jobs/$1
  if [ ! -d "$job" ]; then STATE=unknown; return; fi
  if told_end; then
    how=exit
    [ ! -e "$job/cancel" ] || how=cancelled
    [ -e "$job/began" ] || [ $how = cancelled ] || how=rc
    if [ "$ended_boot" = "$BOOT" ]; then uptime_s; age=$((NOW - ended)); else age=$(($(date +%s) - $(mtime "$job/exit"))); fi
    ran=-
    [ -e "$job/started" ] && read -r began dot <"$job/started" && [ "$dot" = . ] && ran=$((ended - began))
    STATE="ended $code $age $how $ran"
  elif [ ! -e "$job/sup" ]; then
    STATE=new
  else
    read -r sup began boot _ <"$job/sup"
    if [ "$boot" = "$BOOT" ] && start_of "$sup" && [ "$START" = "$began" ]; then
      STATE=waiting
      [ -e "$job/started" ] && read -r since _ <"$job/started" && uptime_s && STATE="running $((NOW - since))"
    elif told_end; then
      # Between the two looks.
      tell_state "$1"
    elif [ ! -e "$job/started" ] && [ ! -e "$job/cancel" ]; then
      # Not a line of the task has run (a rank that still waited for its gang): it may be started afresh.
      kill_tree "$job" 0
      mv "$job" "$job.dead.$$" && rm -rf "$job.dead.$$"
      STATE=unknown
    elif [ "$boot" = "$BOOT" ]; then
      STATE="dead supervisor"
    else
      STATE="dead reboot"
    fi
  fi
}

mtime() { stat -c %Y "$1" 2>/dev/null || stat -f %m "$1" 2>/dev/null || date +%s; }

# start ID UUID GRACE HOLD DEVICES SNAPSHOT ENV RUN
do_start() {
  job=$ROOT/jobs/$2
  if mkdir "$job" 2>/dev/null; then
    if ! { printf %b "$7" >"$job/env" && printf %b "$8" >"$job/run"; } 2>/dev/null; then
      # A shell's own words for a failed write are poor; cp says what is wrong with the disk.
      words=$(cp /bin/sh "$job/try" 2>&1 | head -n 1 | cut -c 1-300)
      rm -rf "$job"
      reply "= $1 err write ${words:-cannot write to $job}"
      return
    fi
  elif [ ! -d "$job" ]; then
    reply "= $1 err write $(mkdir "$job" 2>&1 | head -n 1 | cut -c 1-300)"
    return
  else
    # A launch whose answer was lost is simply sent again.
    tell_state "$2"
    if [ "$STATE" != new ]; then
      reply "= $1 ok $STATE"
      return
    fi
    printf %b "$7" >"$job/env.$$" && printf %b "$8" >"$job/run.$$" && mv "$job/env.$$" "$job/env" && mv "$job/run.$$" "$job/run" || {
      reply "= $1 err write cannot write to $job"
      return
    }
  fi
  devices=
  [ "$5" = - ] || { IFS=,; for device in $5; do devices="$devices $device"; done; unset IFS; }
  $SETSID bash "$AGENT" supervise "$job" "$3" "$4" "$6" $devices </dev/null >/dev/null 2>&1 8>&- &
  reply "= $1 ok started"
}

do_cancel() {
  job=$ROOT/jobs/$2
  tell_state "$2"
  case $STATE in
    unknown) reply "= $1 ok unknown"; return ;;
    ended*) reply "= $1 ok $STATE"; return ;;
  esac
  : >"$job/cancel"
  $SETSID sh "$AGENT" kill "$job" "$3" </dev/null >/dev/null 2>&1 8>&- &
  reply "= $1 ok cancelling"
}

# place ID SNAPSHOT DESTINATION: a file_mount, from its unpacked snapshot to where the task wants it
do_place() {
  # printf eats nothing at the end that a path may hold, once something follows it.
  to=$(printf %b "$3"; echo .)
  to=${to%.}
  case $to in
    /*) ;;
    '~/'*) to=$HOME/${to#??} ;;
    *) to=$HOME/$to ;;
  esac
  from=$ROOT/work/$2
  if [ -e "$from/.cluster-queue-file" ]; then
    words=$({ mkdir -p "${to%/*}" && cp -Rp "$from/.cluster-queue-file" "$to"; } 2>&1 | head -n 1 | cut -c 1-300)
  else
    words=$({ mkdir -p "$to" && cp -Rp "$from/." "$to/"; } 2>&1 | head -n 1 | cut -c 1-300)
  fi
  [ -z "$words" ] && reply "= $1 ok" || reply "= $1 err write $words"
}

do_probe() {
  id=$1
  say() { reply "+ $id $1"; }
  say "host $(uname -n)"
  say "os $(uname -s) $(uname -m)"
  cpus=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
  say "cpus $cpus"
  if [ -r /proc/meminfo ]; then
    while read -r key kb _; do
      [ "$key" = MemTotal: ] && say "memory $((kb / 1024))" && break
    done </proc/meminfo
  else
    say "memory $(($(sysctl -n hw.memsize 2>/dev/null || echo 0) / 1048576))"
  fi
  say "disk $(df -Pk "$HOME" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }')"
  say "bash $(command -v bash || echo -)"
  say "flock $(command -v flock || echo -)"
  set -- $SSH_CONNECTION
  say "ip ${3:-$( (hostname -I 2>/dev/null || echo 127.0.0.1) | awk '{ print $1 }')}"
  if command -v nvidia-smi >/dev/null 2>&1; then
    limit=
    command -v timeout >/dev/null 2>&1 && limit='timeout 20'
    $limit nvidia-smi --query-gpu=index,uuid,memory.total,memory.used,name --format=csv,noheader,nounits 2>"$SESSION/smi" |
      while IFS= read -r row; do say "gpu $row"; done
    [ ! -s "$SESSION/smi" ] || { IFS= read -r words <"$SESSION/smi"; say "trouble nvidia-smi: $words"; }
    $limit nvidia-smi --query-compute-apps=gpu_uuid,pid --format=csv,noheader,nounits 2>/dev/null |
      while IFS=', ' read -r gpu pid; do
        # Only what no queue of ours started is foreign; a colleague's job shows by its lease.
        grep -qsF CLUSTER_QUEUE_JOB= "/proc/$pid/environ" || say "foreign $gpu $pid $(ls -ld "/proc/$pid" 2>/dev/null | awk '{ print $3 }')"
      done
  fi
  reply "= $id ok"
}

session() {
  boot_id
  SESSION=$ROOT/sessions/$$
  if ! { mkdir -p "$ROOT/jobs" "$SESSION" && mkfifo "$SESSION/ev"; } 2>/dev/null; then
    printf 'CQ1 fail cannot write to %s: %s\n' "$ROOT" "$(mkdir -p "$ROOT/jobs" "$SESSION" 2>&1 | cut -c 1-300)"
    exit 1
  fi
  sweep_sessions
  SETSID=
  command -v setsid >/dev/null 2>&1 && SETSID=setsid
  # Without setsid(1) (macOS) job control gives a background process a group of its own.
  [ -n "$SETSID" ] || set -m
  [ -e "${AGENT%.sh}.bin/podman" ] || write_shims
  exec 8<>"$SESSION/ev"
  mux </dev/null &
  MUX=$!
  printf 'CQ1 ready %s %s\n' "$BOOT" "$CLUSTER_QUEUE_NODE"
  trap 'end_session' HUP TERM INT PIPE
  while IFS= read -r line; do
    set -- $line
    id=$1
    case $2 in
      start) shift 2; do_start "$id" "$@" ;;
      go) [ -p "$ROOT/jobs/$3/go" ] && printf 'go\n' 1<>"$ROOT/jobs/$3/go"; reply "= $id ok" ;;
      cancel) do_cancel "$id" "$3" "$4" ;;
      query) shift 2; for uuid in "$@"; do tell_state "$uuid"; reply "+ $id $uuid $STATE"; done; reply "= $id ok" ;;
      follow) reply "F $3 $4 $5"; reply "= $id ok" ;;
      unfollow) reply "U $3"; reply "= $id ok" ;;
      forget) shift 2; for uuid in "$@"; do forget "$uuid"; done; reply "= $id ok" ;;
      has) [ -d "$ROOT/work/$3" ] && reply "= $id ok yes" || reply "= $id ok no" ;;
      place) do_place "$id" "$3" "$4" & ;;
      probe) do_probe "$id" & ;;
      ping) reply "= $id ok" ;;
      *) reply "= $id err protocol unknown request $2" ;;
    esac
  done
  end_session
}

forget() {
  [ -n "$1" ] || return
  tell_state "$1"
  case $STATE in ended* | dead* | new) rm -rf "${ROOT:?}/jobs/$1" ;; esac
}

end_session() {
  trap '' HUP TERM INT PIPE
  reply Q
  # A client that is gone may have left the mux in a write that never returns.
  (sleep 2; kill $MUX) >/dev/null 2>&1 8>&- &
  killer=$!
  wait $MUX 2>/dev/null
  kill $killer 2>/dev/null
  rm -rf "$SESSION"
  exit 0
}

sweep_sessions() {
  set +f
  for dir in "$ROOT"/sessions/*; do
    kill -0 "${dir##*/}" 2>/dev/null || rm -rf "$dir"
  done
  set -f
}

# ---------------------------------------------------------------- the session: events and logs, one writer of stdout

mux() {
  DD=
  dd if=/dev/null iflag=skip_bytes,count_bytes skip=0 count=0 bs=64k >/dev/null 2>&1 && DD=1
  WITH_PID=
  tail --pid=$$ -c 0 /dev/null >/dev/null 2>&1 && WITH_PID=--pid=$$
  SLOTS=
  while IFS= read -r line; do
    case $line in
      'L '*) send_log "${line#L }" ;;
      'F '*) set -- $line; follow "$2" "$3" "$4" ;;
      'U '*) unfollow "${line#U }" ;;
      'X '*) printf '%s\n' "$line"; set -- $line; ended "$2" ;;
      Q) for slot in $SLOTS; do unfollow "$slot"; done; exit 0 ;;
      *) printf '%s\n' "$line" ;;
    esac
  done <&8
}

# follow SLOT UUID OFFSET
follow() {
  eval "uuid_$1=\$2 off_$1=\$3 end_$1="
  SLOTS="$SLOTS $1"
  log=$ROOT/jobs/$2/run.log
  if [ -e "$ROOT/jobs/$2/exit" ] || [ ! -d "$ROOT/jobs/$2" ]; then
    eval "end_$1=1"
  else
    [ -e "$log" ] || : >>"$log"
    size=$(($(wc -c <"$log")))
    [ "$size" -gt "$3" ] || size=$3
    watch "$1" "$log" "$size"
  fi
  send_log "$1"
}

# Wakes the mux when the log of slot $1 grows past $3 bytes. What it reads it throws away: the file is the truth.
watch() {
  mkfifo "$SESSION/grow.$1" || return
  tail $WITH_PID -c "+$(($3 + 1))" -f "$2" >"$SESSION/grow.$1" 2>/dev/null 8>&- &
  eval "tail_$1=\$!"
  while dd bs=64k count=1 of="$SESSION/seen.$1" 2>/dev/null; [ -s "$SESSION/seen.$1" ]; do
    printf 'L %s\n' "$1" >&8
  done <"$SESSION/grow.$1" &
}

unfollow() {
  eval "pid=\${tail_$1-}; uuid_$1= tail_$1="
  [ -z "$pid" ] || { kill "$pid"; rm -f "$SESSION/grow.$1"; } 2>/dev/null
  left=
  for slot in $SLOTS; do [ "$slot" = "$1" ] || left="$left $slot"; done
  SLOTS=$left
}

# The job's last byte is in its log: its followers get the rest, and the end.
ended() {
  for slot in $SLOTS; do
    eval "uuid=\$uuid_$slot"
    [ "$uuid" = "$1" ] || continue
    eval "end_$slot=1"
    send_log "$slot"
  done
}

send_log() {
  eval "uuid=\${uuid_$1-}"
  [ -n "$uuid" ] || return 0
  eval "off=\$off_$1 end=\$end_$1"
  log=$ROOT/jobs/$uuid/run.log
  size=0
  [ -e "$log" ] && size=$(($(wc -c <"$log")))
  n=$((size - off))
  if [ $n -gt 0 ]; then
    # A slice at a time, so that a flood in one log holds up neither events nor other logs.
    [ $n -le 4194304 ] || n=4194304
    printf 'D %s %s %s\n' "$1" "$off" "$n"
    if [ -n "$DD" ]; then
      dd if="$log" bs=64k iflag=skip_bytes,count_bytes skip="$off" count="$n" 2>/dev/null
    else
      tail -c "+$((off + 1))" "$log" | head -c "$n"
    fi
    off=$((off + n))
    eval "off_$1=\$off"
    # From the background: the mux alone empties this FIFO and must never wait for it.
    [ $off -ge $size ] || { printf 'L %s\n' "$1" >&8 & }
  fi
  if [ -n "$end" ] && [ $off -ge $size ]; then
    printf 'E %s %s\n' "$1" "$off"
    unfollow "$1"
  fi
}

# ---------------------------------------------------------------- docker and podman inside a job

write_shims() {
  BIN=${AGENT%.sh}.bin
  mkdir -p "$BIN" || return
  for name in docker podman; do
    cat >"$BIN/$name.$$" <<'SHIM'
#!/bin/sh
# Gives `docker run --gpus all` inside a job the job's devices only; all else passes through untouched.
name=${0##*/}
here=${0%/*}
real=
IFS=:
for dir in $PATH; do
  [ "$dir" -ef "$here" ] 2>/dev/null || [ "$dir" = "$here" ] && continue
  [ -x "$dir/$name" ] && [ ! -d "$dir/$name" ] && real=$dir/$name && break
done
unset IFS
[ -n "$real" ] || { echo "$name: command not found" >&2; exit 127; }

# $state: where we are in the line — global options, options of run or create, or past the image.
state=global take=
left=$#
while [ "$left" -gt 0 ]; do
  arg=$1
  shift
  left=$((left - 1))
  if [ -n "$take" ]; then
    [ "$take" = gpus ] && [ "$arg" = all ] && {
      take=
      [ -z "$CQ_DEVICES" ] || set -- "$@" --gpus "\"device=$CQ_DEVICES\""
      continue
    }
    [ "$take" = gpus ] && set -- "$@" --gpus
    take=
    set -- "$@" "$arg"
    continue
  fi
  case $state:$arg in
    global:run | global:create) state=options ;;
    global:container) ;;
    global:-[cHl] | global:--config | global:--context | global:--host | global:--log-level | global:--tls*[!e=] | \
      global:--root | global:--connection | global:--url | global:--identity) take=value ;;
    global:-*) ;;
    global:*) state=other ;;
    options:--gpus=all)
      [ -z "$CQ_DEVICES" ] || set -- "$@" "--gpus=\"device=$CQ_DEVICES\""
      continue ;;
    options:--gpus) take=gpus; continue ;;
    options:--detach | options:--interactive | options:--tty | options:--rm | options:--privileged | options:--init | \
      options:--read-only | options:--no-healthcheck | options:--oom-kill-disable | options:--publish-all | \
      options:--quiet | options:--disable-content-trust | options:--replace | options:--no-hosts | options:--rmi | \
      options:--env-host | options:--http-proxy | options:--tls-verify | options:--help) ;;
    options:--*=*) ;;
    options:--*) take=value ;;
    options:-[!-]*)
      # A cluster of short flags; a letter that takes a value takes the rest of the word or the next word.
      rest=${arg#-}
      while [ -n "$rest" ]; do
        letter=${rest%"${rest#?}"}
        rest=${rest#?}
        case $letter in
          [ditPqhT]) ;;
          *) [ -n "$rest" ] || take=value; break ;;
        esac
      done ;;
    options:*) state=other ;;
  esac
  set -- "$@" "$arg"
done
[ "$take" = gpus ] && set -- "$@" --gpus
exec "$real" "$@"
SHIM
    chmod 700 "$BIN/$name.$$" && mv "$BIN/$name.$$" "$BIN/$name"
  done
}

case ${1-} in
  session) session ;;
  supervise) shift; supervise "$@" ;;
  kill) shift; kill_job "$@" ;;
  unpack) unpack "$2" ;;
esac
