# ---------------------------------------------------------------- logs: a job's output on its way into files, see head.sh
#
#   jobs/UUID/run.log         the beginning of the log; of most, all of it
#   jobs/UUID/run.log.OFFSET  a later part, which begins at that byte of the whole. When all of them are too large the oldest
#                             goes; offsets never change, so that whoever reads sees what is missing
#   ROOT/limit                "BYTES .": the most that the parts of one log may take together; 0: no limit

# Opens what the job writes to, on descriptor 5: a pipe, because a file it could empty by `echo >/dev/stderr`, which opens
# that anew. LOGGER: who brings it into the log.
open_log() {
  LOGGER=
  if [ -p "$JOB/out" ] || mkfifo "$JOB/out"; then
    # Without the leases.
    (close_leases; keep_log) <"$JOB/out" >/dev/null 2>&1 &
    LOGGER=$!
    exec 5>"$JOB/out"
  else
    newest_part "$JOB"
    exec 5>>"$LOG"
  fi 2>/dev/null
}

# All that the job wrote is in its log. A stranger who inherited the pipe and cannot be ended (`sudo`) is not waited for.
close_log() {
  [ -n "$LOGGER" ] || return 0
  waits=0
  while start_of "$LOGGER" && [ "$waits" -lt 3000 ]; do
    # Sleeps without a fork.
    read -r -t 0.001 word <&9 || :
    waits=$((waits + 1))
  done
  kill "$LOGGER"
  wait "$LOGGER"
} 2>/dev/null

# Brings stdin into the log, part after part. One dd is all that a log of ordinary size takes: it ends after so many reads
# that a part may be full, and each read is a write at once.
keep_log() {
  limit=10000000000
  if read -r bytes dot <"$ROOT/limit" && [ "$dot" = . ]; then limit=$bytes; fi
  # A part may become twice as long, by reads that find little after the count of bytes has begun anew.
  PART=$((limit / 16))
  [ "$limit" != 0 ] || PART=4611686018427387904
  reads=$((PART / 65536))
  [ "$reads" -gt 0 ] || reads=1
  newest_part "$JOB"
  while :; do
    if words=$(exec dd bs=65536 count="$reads" 2>&1 >>"$LOG"); then
      found=${words%% records in*}
      found=${found##*[!0-9+]}
      # Less than it was to read: that was the end.
      [ $((found)) -ge "$reads" ] || return 0
      size_of "$LOG"
      size=$SIZE
      [ "$size" -lt "$PART" ] || next_part
    else
      # What dd had read is gone: it reads no more before there is room for all that it may read at once, and the job waits.
      waits=0
      until dd if=/dev/zero of="$JOB/room" bs=65536 count=1; do
        rm -f "$JOB/room"
        [ $((waits % 60)) != 0 ] || push "W $UUID 1"
        waits=$((waits + 1))
        sleep 1
      done
      rm -f "$JOB/room"
      [ "$waits" = 0 ] || push "W $UUID 0"
      printf '\n[cluster-queue] the log could not be written for a while (is the disk full?): lines are missing here\n' >>"$LOG"
    fi
  done
}

# Goes on in a new part of the log, for which the oldest makes room: never the beginning, which tells what it was about.
next_part() {
  LOG_AT=$((LOG_AT + size))
  set +f
  for part in "$JOB"/run.log.[0-9]*; do
    # The beginning and the new part may each become as long as two.
    [ ! -e "$part" ] || [ $((LOG_AT - ${part##*.} + 4 * PART)) -le "$limit" ] || rm -f "$part"
  done
  set -f
  LOG=$JOB/run.log.$LOG_AT
  until true >>"$LOG"; do sleep 1; done
  push "P $UUID"
}

# Sets SIZE to the bytes of file $1: 0 when it is not there any more, which in $((…)) would end the shell.
size_of() {
  SIZE=$(wc -c <"$1")
  SIZE=$((${SIZE:-0}))
} 2>/dev/null

# Sets LOG to the newest part of the log of job $1 (directory), and LOG_AT to where it begins.
newest_part() {
  LOG=$1/run.log LOG_AT=0
  set +f
  for part in "$1"/run.log.[0-9]*; do
    [ ! -e "$part" ] || [ "${part##*.}" -lt "$LOG_AT" ] || LOG=$part LOG_AT=${part##*.}
  done
  set -f
}

# Finds byte $2 of the log of job $1 (directory): LOG and LOG_AT are of the part that has it or would, NEXT is where the
# part after that begins; empty when there is none, and so this one may grow.
find_part() {
  LOG=$1/run.log LOG_AT=0 NEXT=
  set +f
  for part in "$1"/run.log.[0-9]*; do
    [ -e "$part" ] || continue
    begin=${part##*.}
    if [ "$begin" -gt "$2" ]; then
      if [ -z "$NEXT" ] || [ "$begin" -lt "$NEXT" ]; then NEXT=$begin; fi
    elif [ "$begin" -gt "$LOG_AT" ]; then
      LOG=$part LOG_AT=$begin
    fi
  done
  set -f
}
