# ---------------------------------------------------------------- the supervisor

# supervise DIR GRACE HOLD SNAPSHOT TIMEOUT RETRIES USE DEVS ALT UNITS [LEASE …]: the engine's start; USE is CPUS:KIB for
# the books
supervise() {
  JOB=$1 UUID=${1##*/} GRACE=$2 HOLD=$3 SNAPSHOT=$4 TIMEOUT=$5 RETRIES=$6 TRY=1 USE=$7 DEVS=$8 ALT=$9 UNITS=${10}
  shift 10
  # One of two starts of the same UUID gets past here (O_EXCL).
  (set -C; true >"$JOB/sup") 2>/dev/null || exit 0
  boot_id; uptime_s; start_of $$
  SHARED= LOCKS= mark=.
  for device in "$@"; do
    LOCKS=$LOCKS${LOCKS:+,}${device#s:}
    case $device in s:*) SHARED="$SHARED ${device#s:}" mark=? ;; esac
  done
  # Its devices are in the books from here on: nothing that comes after it in the queue may get them while its workdir is copied.
  if ! { printf '%s %s %s %s .\n' $$ "$START" "$BOOT" "$NOW" >"$JOB/sup" && printf '%s %s .\n' "$DEVS" "$ALT" >"$JOB/took" &&
    enter_books $$ "$START" "$USE" "$UNITS" "$LOCKS" "$mark"; } 2>/dev/null; then
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

# Locks the devices and runs the job, which inherits the locks: they last as long as any process of it, also when the
# supervisor is killed. Descriptors of two digits are bash's; those just above 9 it takes for itself.
lease_and_run() {
  until lease_mine "$@"; do
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
