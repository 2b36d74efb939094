# ---------------------------------------------------------------- requests about jobs

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
  devices= leases= mark=.
  case ,$5 in *,s:*) mark=? ;; esac
  [ "$5" = - ] || { IFS=,; for device in $5; do devices="$devices $device" leases=$leases${leases:+,}${device#s:}; done; unset IFS; }
  # In the books before its supervisor has entered it: what is staged from now on comes after it.
  UUID=$2
  if [ ! -e "$ROOT/live/$2" ] && ! { start_of $$; enter_books $$ "$START" "${11}" "${14}" "$leases" "$mark"; } 2>/dev/null; then
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

# stage ID NAME GRACE SNAPSHOT TIMEOUT RETRIES ENV RUN WANT AFTER
do_stage() {
  uuid=${2##*.}
  if [ -d "$ROOT/jobs/$uuid" ]; then
    tell_state "$uuid"
    if [ "$STATE" != unknown ]; then reply "= $1 ok $STATE"; return; fi
  fi
  if [ ! -d "$STAGED/$2" ]; then
    new=$STAGED/.new.$uuid
    # What a killed session has left there may be what this job has no more, as what it came after.
    [ ! -e "$new" ] || rm -rf "$new"
    if ! { mkdir -p "$new" && printf '%s %s %s %s .\n' "$3" "$4" "$5" "$6" >"$new/how" && printf %b "$7" >"$new/env" && printf %b "$8" >"$new/run" &&
      printf %b "$9" >"$new/want" && { [ "${10}" = - ] || printf %b "${10}" >"$new/after"; } && mv "$new" "$STAGED/$2"; } 2>/dev/null; then
      words=$(why_not "$new/try")
      rm -rf "$new"
      reply "= $1 err write ${words:-cannot write to $new}"
      return
    fi
  fi
  reply "= $1 ok staged"
}

# recall ID NAME…: takes staged jobs back, each whole or not at all; of one that has been started its state is told
do_recall() {
  id=$1
  shift
  # A name of its own: of a session that was killed another may be left.
  gone=$STAGED/.gone.$CLUSTER_QUEUE_NODE.$$.$BEGAN.$id
  mkdir "$gone" && (cd "$STAGED" && mv "$@" "$gone/")
  for name in "$@"; do
    uuid=${name##*.}
    set +f
    if [ -d "$gone/$name" ]; then STATE=recalled
    # It may have got another place in the queue, of which the client has not heard; and on a full disk there is no room
    # for another folder.
    elif mv "$STAGED"/*."$uuid" "$gone.$uuid"; then
      STATE=recalled
      rm -rf "$gone.$uuid"
    else
      for entry in "$STAGED"/*."$uuid"; do break; done
      # Still staged, and not to be had: not a word of it, so that it is asked for again.
      [ ! -d "$entry" ] || continue
      set -f
      tell_state "$uuid"
    fi
    set -f
    reply "+ $id $uuid $STATE"
  done 2>/dev/null
  set -f
  reply "= $id ok"
  rm -rf "$gone"
}

# rekey ID OLD NEW …: other places in the queue; one that is not staged any more keeps silent
do_rekey() {
  id=$1
  shift
  while [ $# -ge 2 ]; do
    mv "$STAGED/$1" "$STAGED/$2" 2>/dev/null
    shift 2
  done
  reply "= $id ok"
}

# staged ID: the names of all that are
do_staged() {
  set +f
  for entry in "$STAGED"/[0-9]*; do
    [ -e "$entry" ] && reply "+ $1 ${entry##*/}"
  done
  set -f
  reply "= $1 ok"
}
