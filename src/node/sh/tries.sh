# ---------------------------------------------------------------- a job on its devices: its gang, its shell, its tries

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
  # command that TERM has just ended. In a process group of its own: a task that ends all of its own (`kill 0`) means no
  # supervisor.
  set -m
  (
    umask "$CQ_UMASK"
    unset CQ_UMASK
    # What is started with & has them ignored, and all that it starts.
    plain=
    env --default-signal=INT,QUIT true && plain='env --default-signal=INT,QUIT'
    CLUSTER_QUEUE_JOB=$UUID CLUSTER_QUEUE_TRY=$TRY CQ_JOB_DIR=$JOB CQ_BIN=${AGENT%.sh}.bin exec $plain bash -i -c '
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
  ' run) </dev/null >"$JOB/rc.log" 2>&1 4<&- 9<&- &
  child=$!
  set +m
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
    printf '[cluster-queue] ~/.bashrc ended the shell (exit code %s) before the task began. It said:\n' "$CODE" >>"$LOG"
    cat "$JOB/rc.log" >>"$LOG"
    # What `exec zsh` made of it may have ended well, but no line of the task has run.
    [ "$CODE" != 0 ] || CODE=1
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
  printf '[cluster-queue] %s; try %s of %s in %s s\n' "$why" $((TRY + 1)) $((RETRIES + 1)) "$PAUSE" >>"$LOG"
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
