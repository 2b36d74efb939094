# ---------------------------------------------------------------- what is small

SETSID=
command -v setsid >/dev/null 2>&1 && SETSID=setsid

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

# Pushes one line to every open session. O_RDWR: a FIFO whose session died has no reader and must not block. A session in
# perl always reads; a mux in a write to a client that has stopped reading lets the FIFO fill up, at some 1,000 events.
push() {
  set +f
  for fifo in "$ROOT"/sessions/*/ev; do
    [ -p "$fifo" ] && put_line "$1" 1<>"$fifo"
  done 2>/dev/null
  set -f
}

# Ends the session of folder $1, whose client then connects anew; fails when it is gone.
stop_session() {
  read -r began <"$1/start" && start_of "${1##*/}" && [ "$START" = "$began" ] && kill "${1##*/}"
}

# ---------------------------------------------------------------- processes of a job

# Sets SUP to the file that says who supervises job $1 (directory).
sup_file() {
  SUP=$1/sup.$CLUSTER_QUEUE_NODE
  [ -e "$SUP" ] || SUP=$1/sup
}

# Prints the pids of job $1 (directory): whoever carries its mark in the environment, which children inherit however
# they daemonise; orphans in the supervisor's session; and all their descendants. Never the supervisor and its helpers.
job_pids() {
  uuid=${1##*/}
  sup= mark=
  sup_file "$1"
  # The mark of the job's shell, where that has waited for the job (perl/shell.pl).
  if [ -r "$SUP" ] && read -r sup began boot _ _ mark _ <"$SUP"; then
    # A supervisor that died may have left its number, and so its session's, to a stranger.
    [ "$boot" = "$BOOT" ] || sup=
    [ -z "$sup" ] || ! start_of "$sup" || [ "$START" = "$began" ] || sup=
  fi
  set +f
  if [ -d /proc/self ]; then
    { grep -lsF -e "CLUSTER_QUEUE_JOB=$uuid" -e "CLUSTER_QUEUE_JOB=${mark:-$uuid}" ${ENVIRONS:-/proc/[0-9]*/environ}; cat ${STATS:-/proc/[0-9]*/stat}; } 2>/dev/null
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

# Notes where the pids of the supervisor's next job begin.
mark_forks() {
  fork_count
  FIRST_FORKS=$FORKS FIRST_PID=$LAST
}

# Whether process $1 brings the job's output into its log.
is_logger() {
  [ -n "${LOGGER-}" ] || return 1
  [ "$1" != "$LOGGER" ] || return 0
  IFS= read -r line <"/proc/$1/stat" || return 1
  set -- ${line##*) }
  [ "$2" = "$LOGGER" ]
} 2>/dev/null

# Whether processes of the supervisor's job may be left. A look at all of /proc costs more than all else that ends a
# job; but pids go up, so with few forks since the job began its processes are between the newest of then and of now.
left_behind() {
  [ -n "$FIRST_FORKS" ] && fork_count || return 0
  [ $((FORKS - FIRST_FORKS)) -lt 1000 ] && [ "$LAST" -gt "$FIRST_PID" ] && [ $((LAST - FIRST_PID)) -lt 1000 ] || return 0
  ENVIRONS= STATS= seen=$FIRST_PID
  # Again for those that came meanwhile: one may have had a child and ended before it was looked at.
  while [ "$LAST" -gt "$seen" ]; do
    while [ "$seen" -lt "$LAST" ]; do
      seen=$((seen + 1))
      [ ! -d /proc/$seen ] || is_logger "$seen" || { ENVIRONS="$ENVIRONS /proc/$seen/environ" STATS="$STATS /proc/$seen/stat"; }
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
  # A shell before the commands that it waits for: else it would go on to the next when it hears of one's end before its own.
  pids=$(job_pids "$1" | sort -n)
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
  sup_file "$1"
  [ -e "$SUP" ] && read -r sup began _ <"$SUP" && start_of "$sup" && [ "$START" = "$began" ]
}

kill_job() {
  # Until the supervisor has told the end: it may have been about to start the job when the tree was empty.
  boot_id
  tries=0
  while [ ! -e "$1/exit" ]; do
    # Gone with the folder: one of the same name is another start, which nobody cancelled.
    [ -e "$1/cancel" ] || return
    [ -p "$1/go" ] && printf 'cancel\n' 1<>"$1/go"
    [ -p "$1/pause" ] && printf 'cancel\n' 1<>"$1/pause"
    kill_tree "$1" "$2"
    [ -e "$1/exit" ] && return
    if ! supervisor_lives "$1"; then
      tries=$((tries + 1))
      # One that has only just been started may not have written its name yet.
      [ $tries -lt 20 ] || break
    fi
    sleep 0.05 2>/dev/null || sleep 1
  done
  [ -e "$1/exit" ] || tell_killed "$1" "$2"
}

# Tells the end of job $1 (directory), whose processes are gone and which nobody supervises.
tell_killed() {
  stop_containers "$1" "$2"
  uptime_s
  tell_try "$1"
  printf '143 %s %s cancelled %s .\n' "$NOW" "$BOOT" "$TRY" >"$1/exit"
  rm -f "$ROOT/live/${1##*/}"
  push "X ${1##*/} 143 0 cancelled $TRY"
  kick
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
  [ -e "$file" ] || (umask 0; true >"$file") 2>/dev/null
  if command -v flock >/dev/null 2>&1; then
    # Opened read-only: another user's lock file can be locked, but (sticky folder) neither changed nor removed.
    eval "exec $2<\"\$file\"" && flock -n $mode "$2" || return
  else
    lease_by_mkdir "$file.held" || return
  fi
  # So that others can tell whose it is.
  { true >"$file.by.${EUID:-0}"; } 2>/dev/null || :
}

# Prints the user whose queue last took lease $1.
lease_user() {
  set +f
  last=$(ls -t "$LEASES/$1".by.* | head -n 1)
  set -f
  [ -z "$last" ] || owner_of "$last"
} 2>/dev/null

owner_of() { ls -ld "$1" 2>/dev/null | awk '{ print $3 }'; }

# Prints "LEASE USER" for each device that another user's queue has. The kernel tells everybody what is locked, by whom
# however only as long as flock(1) runs.
held_by_others() {
  lease_dir
  me=$(id -un)
  set +f
  ls -i "$LEASES" | while read -r inode name; do
    case $name in
      *.by.*) continue ;;
      *.held) name=${name%.held}; read -r pid began <"$LEASES/$name.held/owner" && start_of "$pid" && [ "$START" = "$began" ] || continue ;;
      *) grep -q "FLOCK .*:$inode " /proc/locks || continue ;;
    esac
    user=$(lease_user "$name")
    [ -z "$user" ] || [ "$user" = "$me" ] || echo "$name $user"
  done
  set -f
} 2>/dev/null

# Without flock(1): a folder made by one atomic mkdir, naming its owner, taken over when that process is gone. Noted in
# HELD_NEW, to be removed, unless $2 says otherwise.
lease_by_mkdir() {
  if ! mkdir "$1" 2>/dev/null; then
    read -r owner began <"$1/owner" 2>/dev/null || return 1
    start_of "$owner" && [ "$START" = "$began" ] && return 1
    mv "$1" "$1.$$" 2>/dev/null && rm -rf "$1.$$" && mkdir "$1" 2>/dev/null || return 1
  fi
  start_of $$
  printf '%s %s\n' $$ "$START" >"$1/owner"
  [ -n "${2-}" ] || HELD_NEW="$HELD_NEW $1"
}

# ---------------------------------------------------------------- the supervisor

# supervise DIR GRACE HOLD SNAPSHOT TIMEOUT RETRIES USE DEVS ALT UNITS [LEASE …]: the engine's start; USE is CPUS:KIB for
# the books
supervise() {
  JOB=$1 UUID=${1##*/} GRACE=$2 HOLD=$3 SNAPSHOT=$4 TIMEOUT=$5 RETRIES=$6 TRY=1 USE=$7 DEVS=$8 ALT=$9 UNITS=${10}
  shift 10
  # One of two starts of the same UUID gets past here (O_EXCL).
  (set -C; true >"$JOB/sup") 2>/dev/null || exit 0
  boot_id; uptime_s; start_of $$
  leases=
  for device in "$@"; do leases=$leases${leases:+,}${device#s:}; done
  # Its devices are in the books from here on: nothing that comes after it in the queue may get them while its workdir is copied.
  if ! { printf '%s %s %s %s .\n' $$ "$START" "$BOOT" "$NOW" >"$JOB/sup" && printf '%s %s .\n' "$DEVS" "$ALT" >"$JOB/took" &&
    enter_books $$ "$START" "$USE" "$UNITS" "$leases"; } 2>/dev/null; then
    # On a full disk nobody could tell that it runs: it is not known here, and the engine sends it again.
    rm -f "$ROOT/live/$UUID"
    mv "$JOB" "$JOB.dead.$$" && rm -rf "$JOB.dead.$$"
    exit 1
  fi
  cd "$HOME" || cd /
  lease_dir
  CODE= HOW=exit HELD=
  if copy_workdir; then lease_and_run "$@"; else CODE=1; fi
  [ "$HOW" = busy ] || { finish; supervise_next; }
}

# claimed DIR LAST: a supervisor for a staged job whose locks it inherits, up to descriptor LAST
claimed() {
  boot_id
  cd "$HOME" || cd /
  lease_dir
  LAST_LEASE=$2 MY_LAST=$2 HELD=$CLUSTER_QUEUE_HELD NEXT=${1##*/}
  unset CLUSTER_QUEUE_HELD
  # Not before the runner has written it into the books and told of it.
  hold_lock runner 18
  drop_lock runner 18
  # A runner that was killed before may not have come to name this process: then nobody counts on it.
  start_of $$
  read_sup "$1" && [ "$sup" = $$ ] && [ "$began" = "$START" ] || exit 0
  supervise_next
}

# One job after the other, as long as the end of one lets a staged one start: no start of a shell between two jobs.
supervise_next() {
  while [ -n "$NEXT" ]; do
    UUID=$NEXT JOB=$ROOT/jobs/$NEXT HOLD=run CODE= HOW=exit TRY=1
    read -r GRACE SNAPSHOT TIMEOUT RETRIES _ <"$JOB/how"
    if copy_workdir; then wait_for_go && run_job; else CODE=1; fi
    finish
  done
}

# Writes the job's end, frees its devices, and starts what is staged and fits.
finish() {
  uptime_s
  read -r _ _ _ _ _ leases _ <"$ROOT/live/$UUID"
  JUST_FREED=
  # Without a workdir it came to no lock.
  if [ "$LAST_LEASE" -ge "$FIRST_LEASE" ] || [ -n "$HELD" ]; then JUST_FREED=,$leases,; fi
  # Before they leave the books, or another walk here would take them for somebody else's; and before anybody hears of the
  # end, because the next start may come within a millisecond.
  free_devices
  printf '%s %s %s %s %s .\n' "$CODE" "$NOW" "$BOOT" "$HOW" "$TRY" 1<>"$ROOT/live/$UUID"
  mv "$ROOT/live/$UUID" "$JOB/exit"
  # Secrets may be in there.
  true >"$JOB/env"
  ended="$UUID $CODE 0 $HOW $TRY"
  walk mine
  push "X $ended$STARTED"
  end_walk
  [ -z "$AGAIN" ] || kick
}

# The job's own copy of its workdir, made before it holds any device. Never hard links: those of other jobs would change too.
copy_workdir() {
  [ "$SNAPSHOT" != - ] || return 0
  touch "$WORK/$SNAPSHOT" 2>/dev/null
  cp -a --reflink=auto "$WORK/$SNAPSHOT" "$JOB/workdir" 2>/dev/null && return
  rm -rf "$JOB/workdir"
  cp -Rp "$WORK/$SNAPSHOT" "$JOB/workdir" 2>"$JOB/rc.log" && return
  true >"$JOB/began"
  { echo "cluster-queue: the workdir could not be copied for this job:"; head -n 5 "$JOB/rc.log"; } >>"$JOB/run.log" 2>&1
  return 1
}

# unpack SNAPSHOT NEW part|whole z|-: a workdir as a tar stream on stdin, whole or not at all. All of it is below the folder
# NEW, hard links to files of other snapshots among it, and NEW.end comes last: a stream may be cut between two members.
unpack() {
  boot_id
  mkdir -p "$WORK" && cd "$WORK" || exit 1
  # What an earlier try has brought; but a restart may have cost that its last writes.
  mv "$1.$BOOT.part" "$2" 2>/dev/null || mkdir "$2" || exit 1
  if [ "$3" = part ]; then
    find "$2" -type f -exec wc -c {} + 2>/dev/null
    echo CQ1 go
  fi
  if words=$(tar "-x${4#-}f" - 2>&1) && [ -e "$2.end" ]; then
    rm -f "$2.end"
    [ -d "$1" ] || mv "$2" "$1" || exit 1
    # Another sync of the same was a moment faster.
    [ ! -d "$1/$2" ] || rm -rf "${1:?}/$2"
    echo CQ1 ok
    exec >/dev/null
    rm -rf "$2"
    sweep_work
  else
    rm -f "$2.end"
    case $words in
      *'o space left'* | *uota*) rm -rf "$2" ;;
      *) rm -rf "$1.$BOOT.part"; mv "$2" "$1.$BOOT.part" ;;
    esac
    # The disk's own words before what came of it.
    { printf '%s\n' "$words" | grep -e 'o space left' -e uota; printf '%s\n' "$words"; } 2>/dev/null | head -n 1 | cut -c 1-300
    exit 1
  fi
}

# give UUID: files from a job's own folder as a tar stream, after "CQ1 tar KILOBYTES"; which, say the patterns on stdin, an
# encoded word on each line. "CQ1 gone", "CQ1 home" (it had no workdir) and "CQ1 empty" say why there is none.
give() {
  cd "$ROOT/jobs/$1" 2>/dev/null || { echo CQ1 gone; exit 1; }
  cd workdir 2>/dev/null || { echo CQ1 home; exit 1; }
  set --
  set +f
  IFS=
  while read -r line; do
    pattern=$(printf %b "$line"; echo .)
    for file in ./${pattern%.}; do
      if [ -e "$file" ] || [ -L "$file" ]; then set -- "$@" "$file"; fi
    done
  done
  unset IFS
  set -f
  [ $# -gt 0 ] || { echo CQ1 empty; exit 1; }
  size=$(du -skc "$@" 2>/dev/null | tail -n 1)
  printf 'CQ1 tar %s\n' "${size%%[!0-9]*}"
  tar -cf - "$@"
  # 1: a file changed while it was read, as those of a running job do.
  [ $? -le 1 ]
}

# Locks the devices and runs the job, which inherits the locks: they last as long as any process of it, also when the
# supervisor is killed. Descriptors of two digits are bash's; those just above 9 it takes for itself.
lease_and_run() {
  until lease_all "$@" || lease_after_walk "$@"; do
    if is_heard; then
      HOW=busy
      # Not known here any more: the engine plans again, perhaps for this very node.
      rm -f "$ROOT/live/$UUID"
      mv "$JOB" "$JOB.busy.$$" && rm -rf "$JOB.busy.$$"
      push "B $UUID $BUSY $(lease_user "$BUSY")"
      # What was passed over for it may start.
      kick
      return
    fi
    # Nobody would plan again. The next session's client does, or this goes on without one.
    sleep 1
    [ ! -e "$JOB/cancel" ] || { CODE=143 HOW=cancelled; return; }
  done
  MY_LAST=$LAST_LEASE HELD=$HELD_NEW HELD_NEW=
  wait_for_go && run_job
}

# Locks these devices, or none, and sets BUSY to the one that another has.
lease_all() {
  HELD_NEW=
  for device in "$@"; do
    LAST_LEASE=$((LAST_LEASE + 1))
    lease "$device" "$LAST_LEASE" && continue
    BUSY=${device#s:} HELD=$HELD_NEW HELD_NEW=
    free_devices
    return 1
  done
}

# Who looks for the next staged job may have had one for a moment, for a job that was just taken back.
lease_after_walk() {
  hold_lock runner 18
  lease_all "$@"
  set -- $?
  drop_lock runner 18
  return "$1"
}

# Whether the session of a folder lives; after a reboot its number may be another process's.
session_lives() {
  start_of "${1##*/}" || return 1
  # It is about to write it.
  read -r began <"$1/start" || return 0
  [ "$START" = "$began" ]
} 2>/dev/null

# Whether a session is open.
is_heard() {
  heard=
  set +f
  for dir in "$ROOT"/sessions/*; do
    [ -p "$dir/ev" ] && session_lives "$dir" && heard=1
  done 2>/dev/null
  set -f
  [ -n "$heard" ]
}

# Frees this process's own job's devices.
free_devices() {
  close_leases
  [ -z "$HELD" ] || rm -rf $HELD
  HELD=
}

# Lets go of them in this process alone, which may be a helper.
close_leases() {
  while [ "$LAST_LEASE" -ge "$FIRST_LEASE" ]; do
    eval "exec $LAST_LEASE<&-"
    LAST_LEASE=$((LAST_LEASE - 1))
  done
  MY_LAST=$LAST_LEASE
}

# A rank of a gang holds its devices and waits, at most a minute, for word that all others have theirs.
wait_for_go() {
  [ "$HOLD" = hold ] || { [ ! -e "$JOB/cancel" ] || { CODE=143 HOW=cancelled; return 1; }; return 0; }
  mkfifo "$JOB/go"
  # Open before anybody is told: what is written to a FIFO that nobody has open is lost.
  exec 3<>"$JOB/go"
  # Before another try the others may have to be ended first.
  wait_s=${CLUSTER_QUEUE_GO_TIMEOUT:-60}
  [ "$TRY" = 1 ] || wait_s=$((wait_s + GRACE))
  # Without the leases: its sleep outlives it when it is called off.
  (close_leases; sleep "$wait_s"; printf 'timeout\n' 1<>"$JOB/go") >/dev/null 2>&1 &
  watchdog=$!
  push "R $UUID $TRY"
  # A cancel may have come before the FIFO was there, and so may word of a try that others are at.
  word=
  [ -e "$JOB/cancel" ] && word=cancel
  [ -n "$word" ] || ! gone_on || begin_next
  while [ -z "$word" ]; do
    read -r word <&3
    case $word in
      "go $TRY" | cancel | timeout) ;;
      *) word=; ! gone_on || begin_next ;;
    esac
  done
  exec 3<&-
  kill $watchdog 2>/dev/null
  rm -f "$JOB/go"
  [ "$word" = "go $TRY" ] && return 0
  # Of a rank that failed and was not let try again, its own code says more.
  CODE=${CODE:-143} HOW=no-go
  [ "$word" != cancel ] || HOW=cancelled
  return 1
}

run_job() {
  [ -p "$ROOT/idle" ] || mkfifo "$ROOT/idle" 2>/dev/null
  # Nobody ever writes to it.
  exec 9<>"$ROOT/idle"
  mark_forks
  uptime_s
  printf '%s .\n' "$NOW" >"$JOB/started"
  true >>"$JOB/run.log"
  run_try
  while next_try; do run_try; done
}

run_try() {
  watch_try
  # Word of the others' next try may have come before anybody watched for it.
  if gone_on; then
    CODE=143 HOW=exit
    end_watch
    return
  fi
  # Up to here it says that no try is under way.
  [ "$TRY" = 1 ] || rm -f "$JOB/pause"
  push "S $UUID 0 $TRY"
  open_log
  oom_kills
  kills=$OOM
  # Interactive, as SkyPilot runs it: ~/.bashrc is where `conda activate` comes from. What bash says about a missing
  # terminal, and what ~/.bashrc prints, goes to rc.log. An interactive bash ignores TERM: the trap ends it after the
  # command that TERM has just ended.
  CLUSTER_QUEUE_JOB=$UUID CLUSTER_QUEUE_TRY=$TRY CQ_JOB_DIR=$JOB CQ_BIN=${AGENT%.sh}.bin bash -i -c '
    : >"$CQ_JOB_DIR/began"
    exec >&5 2>&1 5>&-
    trap "exit 143" TERM
    # What came while ~/.bashrc was at work was not heeded.
    [ ! -e "$CQ_JOB_DIR/cancel" ] && [ ! -e "$CQ_JOB_DIR/timeout" ] || exit 143
    for CQ_NAME in docker podman docker-compose; do
      ! type -P $CQ_NAME >/dev/null || CQ_BIN=${CQ_BIN##*:}/$CQ_NAME:$CQ_BIN
    done
    . "$CQ_JOB_DIR/env"
    [ ! -e "$CQ_JOB_DIR/env.$CLUSTER_QUEUE_NODE" ] || . "$CQ_JOB_DIR/env.$CLUSTER_QUEUE_NODE"
    . "$CQ_JOB_DIR/run"
  ' run </dev/null >"$JOB/rc.log" 2>&1 4<&- 9<&- &
  child=$!
  exec 5>&-
  wait $child
  CODE=$?
  HOW=exit
  end_watch
  ! left_behind || kill_tree "$JOB" "$GRACE"
  stop_containers "$JOB" "$GRACE"
  close_log
  if [ -e "$JOB/cancel" ]; then
    HOW=cancelled
  elif [ -e "$JOB/timeout" ]; then
    HOW=timeout
  elif [ ! -e "$JOB/began" ]; then
    HOW=rc
    newest_part "$JOB"
    printf 'cluster-queue: ~/.bashrc ended the shell (exit code %s) before the task began. It said:\n' "$CODE" >>"$LOG"
    cat "$JOB/rc.log" >>"$LOG"
  elif [ "$CODE" = 137 ] && [ -n "$kills" ] && oom_kills && [ "$OOM" -gt "$kills" ]; then
    HOW=oom
  fi
}

# Sets OOM to how often the kernel has ended a process for want of memory since the boot; to nothing, and fails, where it does
# not count that. For bash.
oom_kills() {
  OOM=
  IFS= read -r -d '' all <"${CLUSTER_QUEUE_VMSTAT_FILE:-/proc/vmstat}"
  case $all in *"
oom_kill "*) ;; *) return 1 ;; esac
  all=${all#*"
oom_kill "}
  OOM=${all%%[!0-9]*}
} 2>/dev/null

# Begins to watch over a try that has a limit of time, or whose gang may begin anew, by a helper that ends with the try.
watch_try() {
  WATCH=
  [ "$TIMEOUT" != - ] || { [ "$HOLD" = hold ] && [ "$RETRIES" -gt 0 ]; } || return 0
  [ -p "$JOB/poke" ] || mkfifo "$JOB/poke"
  # Open before the try begins: what is written to a FIFO that nobody has open is lost.
  exec 4<>"$JOB/poke"
  # Without the leases, which are the job's.
  (close_leases; end_in_time) </dev/null >/dev/null 2>&1 &
  WATCH=$!
}

end_watch() {
  [ -n "$WATCH" ] || return 0
  { kill $WATCH; wait $WATCH; } 2>/dev/null
  exec 4<&-
}

# Ends the job's processes when the try's time is over, or when word comes that another rank of the gang failed. A timed
# read and the uptime, because neither minds when somebody sets the clock.
end_in_time() {
  uptime_s
  [ "$TIMEOUT" = - ] || END=$((NOW + TIMEOUT))
  while ! gone_on; do
    if [ "$TIMEOUT" = - ]; then
      read -r word <&4
    else
      uptime_s
      if [ "$NOW" -ge "$END" ]; then true >"$JOB/timeout"; break; fi
      read -r -t $((END - NOW)) word <&4
    fi
  done
  # The job may have been about to start when its tree was empty. The end of the try ends this helper.
  while :; do
    kill_tree "$JOB" "$GRACE"
    sleep 0.05 2>/dev/null || sleep 1
  done
}

# Whether other ranks of the gang are at a later try.
gone_on() {
  [ -e "$JOB/again" ] && read -r later <"$JOB/again" && [ "$later" -gt "$TRY" ]
}

# After a try: fails when it was the last, and else holds the devices until the next one may begin.
next_try() {
  case $HOW in exit | oom) ;; *) return 1 ;; esac
  if gone_on; then
    why='another rank failed'
  else
    [ "$CODE" != 0 ] && [ "$TRY" -le "$RETRIES" ] || return 1
    why="exit code $CODE"
    [ "$HOW" != oom ] || why="$why for want of memory"
  fi
  # 10 s, doubled from try to try, and never more than 5 minutes.
  PAUSE=${CLUSTER_QUEUE_RETRY_PAUSE:-10} n=1
  while [ "$n" -lt "$TRY" ] && [ "$PAUSE" -lt 300 ]; do PAUSE=$((PAUSE * 2)) n=$((n + 1)); done
  [ "$PAUSE" -le 300 ] || PAUSE=300
  rm -f "$JOB/began"
  mkfifo "$JOB/pause"
  exec 3<>"$JOB/pause"
  # What the task wrote last may have no line break.
  newest_part "$JOB"
  [ -z "$(tail -c 1 "$LOG")" ] || echo >>"$LOG"
  printf 'cluster-queue: %s; try %s of %s in %s s\n' "$why" $((TRY + 1)) $((RETRIES + 1)) "$PAUSE" >>"$LOG"
  set_try $((TRY + 1))
  push "T $UUID $TRY $CODE $PAUSE"
  [ -e "$JOB/cancel" ] || [ "$PAUSE" = 0 ] || read -r -t "$PAUSE" word <&3
  exec 3<&-
  if [ -e "$JOB/cancel" ]; then HOW=cancelled; return 1; fi
  wait_for_go
}

# Goes on to the try that the others are at.
begin_next() {
  set_try "$later"
  push "R $UUID $TRY"
}

set_try() {
  TRY=$1
  # Appended, so that whoever reads it meanwhile finds one or the other.
  printf '%s .\n' "$TRY" >>"$JOB/try"
}

# ---------------------------------------------------------------- the session: requests

reply() { put_line "$1" >&8; }

told_end() {
  [ -e "$job/exit" ] && read -r code ended ended_boot how tried dot <"$job/exit" && [ "$dot" = . ]
}

# Sets TRY to the number of the try that job $1 (directory) is at.
tell_try() {
  TRY=1
  [ -e "$1/try" ] || return 0
  while read -r n dot; do [ "$dot" != . ] || TRY=$n; done <"$1/try"
}

# Reads who supervises job $1 (directory): sup, began, boot; fails while that is only being written.
read_sup() {
  dot=
  sup_file "$1"
  read -r sup began boot _ dot _ <"$SUP" && [ "$dot" = . ]
} 2>/dev/null

# Says what became of job $1, and which devices it has or had: "state" lines of wire.ts.
tell_state() {
  job=$ROOT/jobs/$1
  if [ ! -d "$job" ]; then STATE=unknown; return; fi
  took=$job/took.$CLUSTER_QUEUE_NODE
  [ -e "$took" ] || took=$job/took
  if [ -e "$took" ]; then
    read -r took alternative dot <"$took"
  else
    # The second line of who supervises it, when that is perl.
    sup_file "$job"
    dot=
    { read -r _ && read -r took alternative dot; } 2>/dev/null <"$SUP"
  fi
  [ "$dot" = . ] && took=" @ $took $alternative" || took=
  if told_end; then
    if [ "$ended_boot" = "$BOOT" ]; then uptime_s; age=$((NOW - ended)); else age=$(($(date +%s) - $(mtime "$job/exit"))); fi
    ran=-
    [ -e "$job/started" ] && read -r began dot <"$job/started" && [ "$dot" = . ] && ran=$((ended - began))
    STATE="ended $code $age $how $ran $tried$took"
  elif sup_file "$job"; [ ! -e "$SUP" ]; then
    STATE=new
  else
    # Who has just made the file is about to write his name.
    read_sup "$job" || { sleep 0.1 2>/dev/null || sleep 1; read_sup "$job"; }
    if [ "$boot" = "$BOOT" ] && start_of "$sup" && [ "$START" = "$began" ]; then
      tell_try "$job"
      age=-
      [ -e "$job/started" ] && read -r since _ <"$job/started" && uptime_s && age=$((NOW - since))
      if [ "$age" = - ] || [ -p "$job/go" ]; then STATE="waiting $age $TRY"
      elif [ -p "$job/pause" ]; then STATE="pausing $age $TRY"
      else STATE="running $age $TRY"
      fi
      STATE=$STATE$took
    elif told_end; then
      # Between the two looks.
      tell_state "$1"
    elif [ ! -e "$job/started" ] && [ ! -e "$job/cancel" ]; then
      # Not a line of the task has run (a rank that still waited for its gang): it may be started afresh.
      kill_tree "$job" 0
      rm -f "$ROOT/live/$1"
      mv "$job" "$job.dead.$$" && rm -rf "$job.dead.$$"
      STATE=unknown
    else
      STATE="dead supervisor"
      [ "$boot" = "$BOOT" ] || STATE="dead reboot"
      empty_env "$job"
    fi
  fi
}

mtime() { stat -c %Y "$1" 2>/dev/null || stat -f %m "$1" 2>/dev/null || date +%s; }

# Prints what is wrong with path $1, which could not be made. A shell's own words for a failed write are poor; those of cp
# and mkdir say what it is.
why_not() {
  if [ -d "${1%/*}/" ] && [ "${1##*/}" = try ]; then cp /bin/sh "$1"; else mkdir "$1"; fi 2>&1 | head -n 1 | cut -c 1-300
}

# start ID UUID GRACE HOLD LEASES SNAPSHOT ENV RUN TIMEOUT RETRIES USE DEVS ALT UNITS
do_start() {
  job=$ROOT/jobs/$2
  if mkdir "$job" 2>/dev/null; then
    if ! { printf %b "$7" >"$job/env" && printf %b "$8" >"$job/run"; } 2>/dev/null; then
      words=$(why_not "$job/try")
      rm -rf "$job"
      reply "= $1 err write ${words:-cannot write to $job}"
      return
    fi
  elif [ ! -d "$job" ]; then
    reply "= $1 err write $(why_not "$job")"
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
  devices= leases=
  [ "$5" = - ] || { IFS=,; for device in $5; do devices="$devices $device" leases=$leases${leases:+,}${device#s:}; done; unset IFS; }
  # In the books before its supervisor has entered it: what is staged from now on comes after it.
  UUID=$2
  if [ ! -e "$ROOT/live/$2" ] && ! { start_of $$; enter_books $$ "$START" "${11}" "${14}" "$leases"; } 2>/dev/null; then
    words=$(why_not "$job/try")
    rm -rf "$job" "$ROOT/live/$2"
    reply "= $1 err write ${words:-cannot write to $ROOT/live}"
    return
  fi
  $SETSID bash "$AGENT" supervise "$job" "$3" "$4" "$6" "$9" "${10}" "${11}" "${12}" "${13}" "${14}" $devices </dev/null >/dev/null 2>&1 8>&- &
  reply "= $1 ok started"
}

# cancel ID GRACE UUID…: begins to end these; says of each that, or what became of it
do_cancel() {
  id=$1 grace=$2
  shift 2
  for uuid in "$@"; do
    tell_state "$uuid"
    case $STATE in
      unknown | ended*) ;;
      *)
        true >"$ROOT/jobs/$uuid/cancel"
        $SETSID sh "$AGENT" kill "$ROOT/jobs/$uuid" "$grace" </dev/null >/dev/null 2>&1 8>&- &
        STATE=cancelling
        ;;
    esac
    reply "+ $id $uuid $STATE"
  done
  reply "= $id ok"
}

# again ID UUID TRY: another rank of the gang failed, so this one goes on to that try too
do_again() {
  job=$ROOT/jobs/$2
  if [ -d "$job" ]; then
    printf '%s\n' "$3" >"$job/again"
    for fifo in "$job/go" "$job/poke"; do
      [ -p "$fifo" ] && printf 'again\n' 1<>"$fifo"
    done
  fi
  reply "= $1 ok"
}

# Sets HOME_ID to what nodes with this home have in common.
home_id() {
  HOME_ID=
  {
    if [ ! -s "$WORK/id" ]; then
      # In one step: another node of this home may be at it too, and must not read half of it.
      mkdir -p "$WORK" && new=$WORK/id.$CLUSTER_QUEUE_NODE.$$ && printf '%s\n' "$BOOT-$$" >"$new" && [ -s "$new" ] &&
        { ln "$new" "$WORK/id" || [ -e "$WORK/id" ] || mv "$new" "$WORK/id"; }
      rm -f "$new"
    fi
    read -r HOME_ID <"$WORK/id"
  } 2>/dev/null
  [ -n "$HOME_ID" ] || HOME_ID=$CLUSTER_QUEUE_NODE
}

# has ID SNAPSHOT OTHER…: whether it is here; if not, whose home this is, whether a part of it is here, and which others are
do_has() {
  id=$1 name=$2
  shift 2
  # On NFS, reading the folder shows what another node has just put there.
  [ -d "$WORK/$name" ] || { set +f; for entry in "$WORK"/*; do break; done; set -f; }
  if [ -d "$WORK/$name" ]; then reply "= $id ok yes"; return; fi
  home_id
  found=
  for entry in "$@"; do [ ! -d "$WORK/$entry" ] || found="$found $entry"; done
  part=whole
  [ ! -d "$WORK/$name.$BOOT.part" ] || part=part
  reply "= $id ok no $HOME_ID $part$found"
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
  from=$WORK/$2
  words=$({
    # Nodes with one home put it to the same place: one after the other, as what they fetch themselves (remoteMount.ts).
    flock 9 2>/dev/null
    if [ -e "$from/.cluster-queue-file" ]; then mkdir -p "${to%/*}" && cp -Rp "$from/.cluster-queue-file" "$to"
    else mkdir -p "$to" && cp -Rp "$from/." "$to/"; fi
  } 2>&1 9>>"$HOME/.cluster-queue/mounts.lock" | head -n 1 | cut -c 1-300)
  [ -z "$words" ] && reply "= $1 ok" || reply "= $1 err write $words"
}

# A tool that hangs with its driver must not hold up all else.
limit_tools() {
  LIMIT=
  command -v timeout >/dev/null 2>&1 && LIMIT='timeout 20'
}

# Prints "LEASE PID" of what no queue of ours started; a colleague's job shows by its lease.
foreign_processes() {
  limit_tools
  {
    ! command -v nvidia-smi >/dev/null 2>&1 ||
      $LIMIT nvidia-smi --query-compute-apps=gpu_uuid,pid --format=csv,noheader,nounits | tr -s ', ' ' '
    [ ! -s "$ROOT/mig" ] || $LIMIT nvidia-smi | processes_on_slices
    [ ! -e "$ROOT/amd" ] || processes_by_kfd
  } 2>/dev/null |
    while read -r gpu pid; do
      grep -qsF CLUSTER_QUEUE_JOB= "/proc/$pid/environ" || echo "$gpu $pid"
    done
}

# The same for MIG slices, from nvidia-smi's own tables on stdin, since its CSV knows whole GPUs only: one table has the
# slice for GPU, GI and CI, the other a process for these. Which slice has which lease, ROOT/mig has.
processes_on_slices() {
  awk '
    FNR == NR { lease[$1, $2] = $3; next }
    /^\| *MIG devices/ { table = "mig"; next }
    /^\| *Processes/ { table = "processes"; next }
    { gsub(/\|/, " ") }
    table == "mig" && $1 $2 $3 $4 ~ /^[0-9]+$/ { slice[$1, $2, $3] = $4 }
    table == "processes" && $1 $2 $3 $4 ~ /^[0-9]+$/ && (($1, $2, $3) in slice) {
      print lease[$1, slice[$1, $2, $3]], $4
    }' "$ROOT/mig" -
}

# The same for AMD, from where its tools have it too: a folder for each process that has opened the driver, and in it how
# much memory the process has on each GPU.
processes_by_kfd() {
  set +f
  for file in "$KFD"/proc/*/vram_*; do
    read -r bytes <"$file" && [ "$bytes" -gt 0 ] || continue
    pid=${file%/*}
    echo "AMD-${file##*/vram_} ${pid##*/}"
  done
  set -f
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
  say "rsync $(command -v rsync || echo -)"
  home_id
  say "home $HOME_ID"
  set -- $SSH_CONNECTION
  say "ip ${3:-$( (hostname -I 2>/dev/null || echo 127.0.0.1) | awk '{ print $1 }')}"
  limit_tools
  if command -v nvidia-smi >/dev/null 2>&1; then
    $LIMIT nvidia-smi --query-gpu=index,uuid,memory.total,memory.used,name --format=csv,noheader,nounits 2>"$SESSION/smi" |
      while IFS= read -r row; do say "gpu $row"; done
    [ ! -s "$SESSION/smi" ] || { IFS= read -r words <"$SESSION/smi"; say "trouble nvidia-smi: $words"; }
    # Only the header tells the CUDA version; newer drivers call the two KMD and CUDA UMD.
    $LIMIT nvidia-smi >"$SESSION/smi" 2>/dev/null
    sed -n -e 's/.*\(Driver\|KMD\) Version: *\([0-9.]*\).*CUDA [UMD ]*Version: *\([0-9.]*\).*/driver \2 \3/p' "$SESSION/smi" |
      while IFS= read -r row; do say "$row"; done
    probe_mig
  fi
  probe_amd
  foreign_processes | while read -r gpu pid; do
    say "foreign $gpu $pid $(owner_of "/proc/$pid")"
  done
  held_by_others | while IFS= read -r row; do say "held $row"; done
  say "clock $(date +%s)"
  reply "= $id ok"
}

# Tells which GPUs are in MIG mode, and their slices; keeps "GPU SLICE LEASE" for foreign_processes.
probe_mig() {
  # An older driver knows no such field.
  if ! grep -q 'MIG devices' "$SESSION/smi"; then rm -f "$ROOT/mig"; return; fi
  {
    $LIMIT nvidia-smi --query-gpu=index,mig.mode.current --format=csv,noheader
    $LIMIT nvidia-smi -L
  } 2>/dev/null >"$SESSION/smi"
  while IFS= read -r row; do say "mig $row"; done <"$SESSION/smi"
  sed -n -e 's/^GPU \([0-9]*\):.*/\1/p' -e 's/^ .*Device *\([0-9]*\): (UUID: \([^)]*\)).*/ \1 \2/p' "$SESSION/smi" | tr / + |
    awk '/^[0-9]/ { gpu = $1; next } { print gpu, $1, $2 }' >"$ROOT/mig.$$" && mv "$ROOT/mig.$$" "$ROOT/mig"
}

# Tells of AMD's GPUs what a tool of ROCm does; ROOT/amd says that there are some.
probe_amd() {
  tool=
  if command -v rocm-smi >/dev/null 2>&1; then
    $LIMIT rocm-smi --showproductname --showuniqueid --showmeminfo vram --csv 2>/dev/null >"$SESSION/smi"
    tool=rocm
  fi
  # The older tool is on its way out: there may be a stub in its place.
  if command -v amd-smi >/dev/null 2>&1 && { [ -z "$tool" ] || ! grep -qi '^card[0-9]' "$SESSION/smi"; }; then
    { $LIMIT amd-smi list --csv; $LIMIT amd-smi static --asic --vram --csv; } 2>/dev/null >"$SESSION/smi"
    tool=amd
  fi
  if [ -n "$tool" ] && grep -qi -e '^card[0-9]' -e '^[0-9][0-9]*,' "$SESSION/smi"; then
    true >"$ROOT/amd"
    while IFS= read -r row; do say "$tool $row"; done <"$SESSION/smi"
  else
    rm -f "$ROOT/amd"
  fi
}

make_folders() { mkdir -p "$ROOT/jobs" "$ROOT/live" "$STAGED" "$SESSION"; }

session() {
  LEAVING=
  boot_id
  SESSION=$ROOT/sessions/$$
  if ! { make_folders && mkfifo "$SESSION/ev"; } 2>/dev/null; then
    printf 'CQ1 fail cannot write to %s: %s\n' "$ROOT" "$(make_folders 2>&1 | cut -c 1-300)"
    exit 1
  fi
  start_of $$
  BEGAN=$START
  printf '%s\n' "$START" >"$SESSION/start"
  sweep_sessions
  home_id
  heard
  # Without setsid(1) (macOS) job control gives a background process a group of its own.
  [ -n "$SETSID" ] || set -m
  have_shims || write_shims
  exec 8<>"$SESSION/ev"
  mux </dev/null &
  MUX=$!
  guard </dev/null >/dev/null 2>&1 &
  GUARD=$!
  printf 'CQ1 ready %s %s %s\n' "$BOOT" "$CLUSTER_QUEUE_NODE" "$HOME_ID"
  # After a reboot nobody else would.
  kick
  trap 'end_session' HUP TERM INT PIPE
  while IFS= read -r line; do
    set -- $line
    id=$1
    case $2 in
      start) shift 2; do_start "$id" "$@" ;;
      stage) shift 2; do_stage "$id" "$@" ;;
      recall) shift 2; do_recall "$id" "$@" ;;
      rekey) shift 2; do_rekey "$id" "$@" ;;
      staged) do_staged "$id" ;;
      kick) kick; reply "= $id ok" ;;
      go) [ -p "$ROOT/jobs/$3/go" ] && printf 'go %s\n' "$4" 1<>"$ROOT/jobs/$3/go"; reply "= $id ok" ;;
      again) do_again "$id" "$3" "$4" ;;
      cancel) shift 2; do_cancel "$id" "$@" ;;
      query) shift 2; for uuid in "$@"; do tell_state "$uuid"; reply "+ $id $uuid $STATE"; done; reply "= $id ok" ;;
      follow) reply "F $3 $4 $5"; reply "= $id ok" ;;
      unfollow) reply "U $3"; reply "= $id ok" ;;
      told) shift 2; for uuid in "$@"; do told "$uuid"; done; reply "= $id ok" ;;
      limit) printf '%s .%30s\n' "$3" '' 1<>"$ROOT/limit"; reply "= $id ok" ;;
      sweep) $SETSID sh "$AGENT" sweep "$3" </dev/null >/dev/null 2>&1 8>&- & reply "= $id ok" ;;
      leave) LEAVING=1; reply "= $id ok" ;;
      forget) shift 2; for uuid in "$@"; do forget "$uuid"; done; reply "= $id ok" ;;
      has) shift 2; do_has "$id" "$@" ;;
      place) do_place "$id" "$3" "$4" & ;;
      probe) do_probe "$id" & ;;
      at_boot) do_at_boot "$id" "$3" & ;;
      ping) heard; reply "= $id ok" ;;
      own) do_own "$id" "$3" ;;
      *) reply "= $id err protocol unknown request $2" ;;
    esac
  done
  end_session
}

forget() {
  [ -n "$1" ] || return
  tell_state "$1"
  case $STATE in ended* | dead* | new) rm -rf "${ROOT:?}/jobs/$1" "$ROOT/live/$1" ;; esac
}

# Nothing of ours stays, where no job and no other session needs it. A runner or a sweep that has just begun may write while
# all is removed, and a session that ends may not be gone yet.
clear_out() {
  tries=0
  until remove_all || is_needed || [ "$tries" -ge 50 ]; do
    tries=$((tries + 1))
    sleep 0.2 2>/dev/null || sleep 1
  done
}

is_needed() {
  boot_wanted || is_heard && return
  set +f
  for entry in "$STAGED"/[0-9]* "$ROOT"/jobs/*; do
    [ ! -e "$entry" ] || break
  done
  set -f
  [ -e "$entry" ]
}

# Fails where something of ours stays.
remove_all() {
  # What another queue will stage here is to be resumed at boot.
  ! boot_wanted || return 1
  sweep_sessions
  remove_empty "$STAGED" || return 1
  remove_empty "$ROOT/sessions" || { mkdir -p "$STAGED"; return 1; }
  remove_empty "$ROOT/jobs" || { mkdir -p "$STAGED" "$ROOT/sessions"; return 1; }
  [ ! -d "$ROOT/boot" ] || boot_off
  rm -rf "${ROOT:?}" || return 1
  # Other nodes may have the same home.
  others=
  set +f
  for entry in "$HOME"/.cluster-queue/*; do
    case $entry in */agent | */work | */mounts.lock) ;; *) [ ! -e "$entry" ] || others=1 ;; esac
  done
  set -f
  [ -z "$others" ] || return 0
  rm -rf "$HOME/.cluster-queue/agent" "$HOME/.cluster-queue/mounts.lock" "${WORK:?}" && remove_empty "$HOME/.cluster-queue"
} 2>/dev/null

remove_empty() { [ ! -d "$1" ] || rmdir "$1"; }

end_session() {
  trap '' HUP TERM INT PIPE
  # In one step, and before the mux stops reading: a push finds no FIFO, or one that is read.
  mv "$SESSION" "$ROOT/gone.$$"
  # A client that is gone may have left the mux in a write that never returns, and its FIFO full.
  reply Q &
  asker=$!
  (sleep 2; kill $MUX $asker) >/dev/null 2>&1 8>&- &
  killer=$!
  wait $MUX 2>/dev/null
  # Supervisors may wait until there is room for what they tell; each holds the FIFO open itself, so that none would fail.
  cat <&8 >/dev/null 2>&1 &
  drain=$!
  sleep 0.2 2>/dev/null || sleep 1
  # What was started since then ignores a TERM too.
  kill -KILL $killer $asker $GUARD $drain 2>/dev/null
  rm -rf "$ROOT/gone.$$"
  if [ -n "$LEAVING" ]; then clear_out; else
    # What waited for this client's word need not any more.
    kick
  fi
  exit 0
}

# Ends what is left of a session that was killed, and the session of a client that has stopped reading: then its mux waits to write, the FIFO fills up, and whoever has
# something to tell waits too. A line that finds no room for so long says that it has come to that.
guard() {
  while sleep "${CLUSTER_QUEUE_STALLED:-20}"; do
    # Killed, or its home removed: a mux never finds an end to what it reads.
    start_of $$ && [ "$START" = "$BEGAN" ] || { kill $MUX; return; }
    [ -d "$SESSION" ] || { kill $MUX $$; return; }
    rm -f "$SESSION/tick"
    (printf '.\n' >&8; true >"$SESSION/tick") &
    sleep "${CLUSTER_QUEUE_STALLED:-20}"
    [ -e "$SESSION/tick" ] || [ ! -d "$SESSION" ] || break
  done
  kill $MUX $$
  # The session may itself be about to write.
  exec cat <&8
}

# own ID OWNER: this client's earlier sessions end here first: what a broken connection still brings of a request must not
# come after what the client has learned since.
do_own() {
  printf '%s\n' "$2" >"$SESSION/owner"
  set +f
  for dir in "$ROOT"/sessions/*; do
    [ "$dir" != "$SESSION" ] && read -r owner <"$dir/owner" && [ "$owner" = "$2" ] || continue
    waits=0
    # It renames its folder away when it reads no more.
    while [ -d "$dir" ] && stop_session "$dir" && [ "$waits" -lt 50 ]; do
      sleep 0.02 || sleep 1
      waits=$((waits + 1))
    done
    [ "$waits" -lt 50 ] || kill -KILL "${dir##*/}"
  done 2>/dev/null
  set -f
  reply "= $1 ok"
}

# The client lives: what it decides is left to it, see client_here.
heard() {
  uptime_s
  printf '%s\n' "$NOW" >"$SESSION/heard"
}

sweep_sessions() {
  set +f
  for dir in "$ROOT"/sessions/*; do
    session_lives "$dir" || rm -rf "$dir"
  done
  set -f
}

# ---------------------------------------------------------------- the session: events and logs, one writer of stdout

mux() {
  DD=
  dd if=/dev/null iflag=skip_bytes,count_bytes skip=0 count=0 bs=64k >/dev/null 2>&1 && DD=1
  WITH_PID=
  tail --pid=$$ -c 0 /dev/null >/dev/null 2>&1 && WITH_PID=--pid=$$
  SLOTS= WATCHES=0
  while IFS= read -r line; do
    case $line in
      'L '*) send_log "${line#L }" ;;
      'F '*) set -- $line; follow "$2" "$3" "$4" ;;
      'U '*) unfollow "${line#U }" ;;
      'P '*) went_on "${line#P }" ;;
      .) ;;
      'X '*) put_line "$line"; set -- $line; ended "$2" ;;
      Q) for slot in $SLOTS; do unfollow "$slot"; done; exit 0 ;;
      *) put_line "$line" ;;
    esac
  done <&8
}

# follow SLOT UUID OFFSET
follow() {
  eval "uuid_$1=\$2 off_$1=\$3 end_$1="
  SLOTS="$SLOTS $1"
  if [ -e "$ROOT/jobs/$2/exit" ] || [ ! -d "$ROOT/jobs/$2" ]; then
    eval "end_$1=1"
  else
    [ -e "$ROOT/jobs/$2/run.log" ] || true >>"$ROOT/jobs/$2/run.log"
    watch "$1"
  fi
  send_log "$1"
}

# Wakes the mux when the newest part of the log of slot $1 grows, beyond what the client has of it. What it reads it throws
# away: the file is the truth.
watch() {
  eval "uuid=\$uuid_$1 off=\$off_$1"
  newest_part "$ROOT/jobs/$uuid"
  size_of "$LOG"
  size=$SIZE
  [ "$size" -gt $((off - LOG_AT)) ] || size=$((off - LOG_AT))
  WATCHES=$((WATCHES + 1))
  grow=$SESSION/grow.$WATCHES
  mkfifo "$grow" || return
  eval "grow_$1=\$grow"
  tail $WITH_PID -c "+$((size + 1))" -f "$LOG" >"$grow" 2>/dev/null 8>&- &
  eval "tail_$1=\$!"
  while dd bs=64k count=1 of="$grow.seen" 2>/dev/null; [ -s "$grow.seen" ]; do
    printf 'L %s\n' "$1" >&8
  done <"$grow" &
}

unwatch() {
  eval "pid=\${tail_$1-} grow=\${grow_$1-} tail_$1="
  [ -z "$pid" ] || { kill "$pid"; rm -f "$grow"; } 2>/dev/null
}

unfollow() {
  unwatch "$1"
  eval "uuid_$1="
  left=
  for slot in $SLOTS; do [ "$slot" = "$1" ] || left="$left $slot"; done
  SLOTS=$left
}

# The log of job $1 goes on in a new part.
went_on() {
  for slot in $SLOTS; do
    eval "uuid=\$uuid_$slot"
    [ "$uuid" = "$1" ] || continue
    unwatch "$slot"
    watch "$slot"
    send_log "$slot"
  done
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
  find_part "$ROOT/jobs/$uuid" "$off"
  size_of "$LOG"
  size=$((LOG_AT + SIZE))
  n=$((size - off))
  if [ $n -gt 0 ]; then
    # A slice at a time, so that a flood in one log holds up neither events nor other logs.
    [ $n -le 4194304 ] || n=4194304
    # Open before the client is told: a part may go at any time.
    { send_slice "$1" && off=$((off + n)); } <"$LOG"
  elif [ -n "$NEXT" ]; then
    # All of this part, which does not grow any more; those between were dropped.
    off=$NEXT size=$((off + 1))
  fi 2>/dev/null
  eval "off_$1=\$off"
  if [ "$off" -lt "$size" ] || [ -n "$NEXT" ]; then
    # From the background: the mux alone empties this FIFO and must never wait for it.
    printf 'L %s\n' "$1" >&8 &
  elif [ -n "$end" ]; then
    put_line "E $1 $off"
    unfollow "$1"
  fi
}

# Sends $n bytes of the log from $off on, out of the part on stdin.
send_slice() {
  put_line "D $1 $off $n" || return
  if [ -n "$DD" ]; then
    dd bs=64k iflag=skip_bytes,count_bytes skip=$((off - LOG_AT)) count="$n" 2>/dev/null
  else
    tail -c "+$((off - LOG_AT + 1))" | head -c "$n"
  fi
}

case ${1-} in
  session) session ;;
  supervise) shift; supervise "$@" ;;
  claimed) shift; claimed "$@" ;;
  runner) runner ;;
  kill) shift; kill_job "$@" ;;
  killed) shift; boot_id; tell_killed "$@" ;;
  containers) shift; stop_containers "$@" ;;
  folders) SESSION=$CQ_SESSION; make_folders 2>&1 | head -n 1 | cut -c 1-300 ;;
  shims) write_shims ;;
  place) shift; do_place "$@" 8>&1 ;;
  probe) SESSION=$CQ_SESSION; boot_id; do_probe "$2" 8>&1 ;;
  at_boot) SESSION=$CQ_SESSION; do_at_boot "$2" "$3" 8>&1 ;;
  boot) boot "$2" ;;
  clear_out) clear_out ;;
  why_not) why_not "$2" ;;
  strangers) foreign_processes | while read -r gpu _; do printf ' %s' "$gpu"; done ;;
  unpack) shift; unpack "$@" ;;
  sweep) sweep "$2" ;;
  give) give "$2" ;;
esac
exit
