# ---------------------------------------------------------------- what became of a job

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
      # It is made when all devices are held.
      if [ -p "$job/go" ]; then STATE="waiting $age $TRY ready"
      elif [ "$age" = - ]; then STATE="waiting $age $TRY"
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
