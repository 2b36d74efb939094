# ---------------------------------------------------------------- processes of a job

# Sets SUP to the file that says who supervises job $1 (directory).
sup_file() {
  SUP=$1/sup.$CLUSTER_QUEUE_NODE
  [ -e "$SUP" ] || SUP=$1/sup
}

# Prints those files of ENVIRONS (all there are, when that is empty) that have variable $1 or $2. For job_pids.
marked() {
  # To busybox's grep a line ends with a NUL: of an environment it sees the first variable.
  if printf 'x\0y\n' | grep -qF y; then
    grep -lsF -e "$1" -e "$2" ${ENVIRONS:-/proc/[0-9]*/environ}
  else
    ENVIRONS=${ENVIRONS-} bash -c '
      for file in ${ENVIRONS:-/proc/[0-9]*/environ}; do
        while IFS= read -r -d "" one; do
          [ "$one" != "$1" ] && [ "$one" != "$2" ] || { printf "%s\n" "$file"; break; }
        done <"$file"
      done' bash "$1" "$2"
  fi
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
    { marked "CLUSTER_QUEUE_JOB=$uuid" "CLUSTER_QUEUE_JOB=${mark:-$uuid}"; cat ${STATS:-/proc/[0-9]*/stat}; } 2>/dev/null
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
