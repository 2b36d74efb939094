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
