# ---------------------------------------------------------------- what all of it needs

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

reply() { put_line "$1" >&8; }

mtime() { stat -c %Y "$1" 2>/dev/null || stat -f %m "$1" 2>/dev/null || date +%s; }

# Prints what is wrong with path $1, which could not be made. A shell's own words for a failed write are poor; those of cp
# and mkdir say what it is.
why_not() {
  if [ -d "${1%/*}/" ] && [ "${1##*/}" = try ]; then cp /bin/sh "$1"; else mkdir "$1"; fi 2>&1 | head -n 1 | cut -c 1-300
}
