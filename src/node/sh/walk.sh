# ---------------------------------------------------------------- staged jobs: what starts next
#
# The part of the queue that lies on the node, and starts there whether or not a client is on. Parsed by every sh that runs a
# session; `walk` and what it calls are run by bash.
#
#   ~/.cluster-queue/staged/KEY.CLASS.UUID/   env, run, want, how, after: a job that waits, see wire.ts. It belongs to the
#                            home: nodes that share one share the queue, and a node claims a job by one atomic rename.
#                            sup.NODE, took.NODE, env.NODE: what the node that claims it has added before.
#   ROOT/live/UUID           the node's books: one line for each job that holds something here
#   ROOT/runner.lock         held by who looks for the next job; ROOT/waiter.lock by the runner that waits for others' devices

WHOLE=1000000000
FIRST_LEASE=20
LAST_LEASE=19
# The leases of this process's own job end here; those above are on their way to a supervisor of their own.
MY_LAST=19

# Holds "$ROOT/$1.lock" on descriptor $2 of two digits; with "-n" only when nobody else does. For bash.
hold_lock() {
  if command -v flock >/dev/null 2>&1; then
    eval "exec $2>>\"\$ROOT/$1.lock\"" && flock ${3-} "$2"
  else
    until lease_by_mkdir "$ROOT/$1.held" keep; do
      [ -z "${3-}" ] || return 1
      sleep 0.05 2>/dev/null || sleep 1
    done
  fi
}

drop_lock() {
  eval "exec $2>&-"
  command -v flock >/dev/null 2>&1 || rm -rf "$ROOT/$1.held"
}

# Sets TICK to hundredths of a second on the clock of uptime_s.
tick() {
  if [ -r /proc/uptime ]; then read -r TICK _ </proc/uptime; TICK=${TICK%.*}${TICK#*.}; else TICK=$(date +%s)00; fi
}

# Something waits that no end of a job here will tell of: to be looked at in $1 hundredths of a second, or before.
look_again() {
  tick
  [ -n "$AGAIN" ] && [ "$AGAIN" -le $((TICK + $1)) ] || AGAIN=$((TICK + $1))
}

# enter_books PID START CPUS:KIB UNITS LEASE,… [.|?]: enters job UUID, which that process supervises, into the node's books; "?":
# it does not have its share of a device yet
enter_books() {
  # Padded: the end of the job is written over it, and must find room when the job has filled the disk.
  printf '%s %s %s %s %s %s %s%100s\n' "$1" "$2" "$BOOT" "$3" "$4" "${5:--}" "${6:-.}" '' 1<>"$ROOT/live/$UUID"
}

# Reads the books: USED_CPUS (thousandths), USED_KIB, and used_LEASE (share units) for each device that a live job has or is to
# have. For job $1 only what the others have.
read_books() {
  USED_CPUS=0 USED_KIB=0 DEVICES_SEEN=
  set +f
  for book in "$ROOT"/live/*; do
    read -r pid began booted use units leases mark _ <"$book" || continue
    [ "$booted" = "$BOOT" ] && start_of "$pid" && [ "$START" = "$began" ] || continue
    [ -z "${1-}" ] || [ "${book##*/}" != "$1" ] && [ "$mark" != '?' ] || continue
    book_in "$use" "$units" "$leases"
  done 2>/dev/null
  set -f
}

# book_in CPUS:KIB UNITS LEASE,…
book_in() {
  USED_CPUS=$((USED_CPUS + ${1%%:*})) USED_KIB=$((USED_KIB + ${1#*:}))
  [ "$3" != - ] || return 0
  IFS=,
  for lease in $3; do
    device_var "$lease"
    eval "$VAR=\$((\${$VAR:-0} + $2))"
    DEVICES_SEEN="$DEVICES_SEEN,$VAR"
  done
  unset IFS
}

forget_books() {
  IFS=,
  for var in $DEVICES_SEEN; do unset "$var"; done
  unset IFS
}

# Sets VAR to the name of the variable that counts device $1.
device_var() {
  eval 'VAR=used_${1//[!A-Za-z0-9]/_}'
}

# Devices with a process of nobody's queue on them, in FOREIGN; looked at once in two seconds at most. The device that
# this process's own job has just left was not to be had by anybody.
look_for_strangers() {
  [ -z "$LOOKED" ] || return 0
  FOREIGN= LOOKED=0
  command -v nvidia-smi >/dev/null 2>&1 || [ -e "$ROOT/amd" ] || return 0
  tick
  # The clock of another boot means nothing.
  if read -r booted LOOKED FOREIGN <"$ROOT/foreign" && [ "$booted" = "$BOOT" ] && [ $((TICK - LOOKED)) -lt 200 ]; then return 0; fi 2>/dev/null
  LOOKED=$TICK
  # Without the locks: it outlives a runner that is killed.
  FOREIGN=$(close_leases; exec 17>&- 18>&-; foreign_processes | while read -r gpu _; do printf ' %s' "$gpu"; done)
  printf '%s %s %s\n' "$BOOT" "$LOOKED" "$FOREIGN" >"$ROOT/foreign"
} 2>/dev/null

# Whether device $1 may be locked: nobody was seen on it in this walk.
open_to_us() {
  case $BUSY in *" $1 "*) return 1 ;; esac
  case $1 in virtual-*) return 0 ;; esac
  case $JUST_FREED in *",$1,"*) return 0 ;; esac
  look_for_strangers
  case " $FOREIGN " in
    *" $1 "*)
      BUSY="$BUSY$1 "
      tick
      look_again $((LOOKED + 200 - TICK))
      return 1 ;;
  esac
}

# Locks one more device for the job that is being placed: LEASE, or s:LEASE to share it.
lock_one() {
  LAST_LEASE=$((LAST_LEASE + 1))
  lease "$1" "$LAST_LEASE" && return 0
  eval "exec $LAST_LEASE<&-"
  LAST_LEASE=$((LAST_LEASE - 1))
  # Somebody else's queue has it. To try a lock again costs next to nothing.
  BUSY="$BUSY${1#s:} "
  look_again 100
  return 1
}

# Gives back what the job that is being placed has locked so far.
unlock_new() {
  while [ "$LAST_LEASE" -gt "$MY_LAST" ]; do
    eval "exec $LAST_LEASE<&-"
    LAST_LEASE=$((LAST_LEASE - 1))
  done
  [ -z "$HELD_NEW" ] || rm -rf $HELD_NEW
  HELD_NEW=
}

# take_devices UNITS COUNT INDEX=LEASE,…: the same choice as the scheduler's (nodeTable.ts). Sets DEVS, LOCKS and VISIBLE.
take_devices() {
  DEVS= LOCKS= VISIBLE=
  [ "$1" != 0 ] || return 0
  if [ "$1" -lt "$WHOLE" ]; then
    # A shared device that it fills the most, else a free one.
    while :; do
      best= least=$WHOLE
      IFS=,
      for device in $3; do
        device_var "${device#*=}"
        eval "room=\$((WHOLE - \${$VAR:-0}))"
        case $BUSY in *" ${device#*=} "*) continue ;; esac
        [ "$room" -lt "$least" ] && [ "$room" -ge "$1" ] && best=$device least=$room
      done
      unset IFS
      [ -n "$best" ] || break
      if open_to_us "${best#*=}" && lock_one "s:${best#*=}"; then
        DEVS=${best%%=*} LOCKS=${best#*=}
        name_devices "$3"
        return 0
      fi
    done
  fi
  free=
  left=0
  IFS=,
  for device in $3; do
    device_var "${device#*=}"
    eval "[ \"\${$VAR:-0}\" = 0 ]" || continue
    free=$free${free:+,}$device left=$((left + 1))
  done
  missing=$2
  for device in $free; do
    [ "$left" -ge "$missing" ] || break
    left=$((left - 1))
    unset IFS
    share=
    [ "$1" -ge "$WHOLE" ] || share=s:
    if open_to_us "${device#*=}" && lock_one "$share${device#*=}"; then
      DEVS=$DEVS${DEVS:+,}${device%%=*} LOCKS=$LOCKS${LOCKS:+,}${device#*=} missing=$((missing - 1))
    fi
    IFS=,
    [ "$missing" -gt 0 ] || break
  done
  unset IFS
  if [ "$missing" -gt 0 ]; then unlock_new; return 1; fi
  sort_devices
  name_devices "$3"
}

# Sets VISIBLE to what CUDA_VISIBLE_DEVICES calls the devices DEVS of the list $1: a MIG slice by its uuid (devices.ts).
name_devices() {
  VISIBLE=
  IFS=,
  for index in $DEVS; do
    name=$index
    if [ "$index" -ge 1000 ]; then
      for device in $1; do [ "${device%%=*}" != "$index" ] || eval 'name=${device#*=} name=${name//+//}'; done
    fi
    VISIBLE=$VISIBLE${VISIBLE:+,}$name
  done
  unset IFS
}

# Indices ascending, as CUDA_VISIBLE_DEVICES has them everywhere.
sort_devices() {
  rest=$DEVS DEVS=
  while [ -n "$rest" ]; do
    least=
    IFS=,
    for index in $rest; do
      [ -z "$least" ] || [ "$index" -lt "$least" ] && least=$index
    done
    others=
    for index in $rest; do [ "$index" = "$least" ] || others=$others,$index; done
    unset IFS
    DEVS=$DEVS${DEVS:+,}$least rest=${others#,}
  done
}

# Staged jobs, and their classes, that will never start because one that they come after did not succeed: known for as long
# as this process lives.
DOOMED=' '

doom() {
  case $DOOMED in *" $1 "*) ;; *) DOOMED="$DOOMED$1 " ;; esac
}

# Whether all jobs in file $1 have succeeded, on any node of this home.
preceded() {
  all=1 doomed= elsewhere=
  while read -r before; do
    code= how=
    set +f
    for end in "$HOME"/.cluster-queue/*/jobs/"$before"/exit; do
      [ ! -e "$end" ] || read -r code _ _ how _ <"$end"
      [ ! -e "${end%exit}cancel" ] || how=cancelled
    done
    set -f
    # One that its time limit ended may have taken that calmly, with exit code 0.
    [ "$code:$how" != 0:exit ] || continue
    all=
    case $DOOMED in *" $before "*) how=never ;; esac
    if [ -n "$how" ]; then doomed=1; else ends_here "$before" || elsewhere=1; fi
  done <"$1"
  if [ -n "$doomed" ]; then
    doom "$class"
    doom "$uuid"
  elif [ -n "$elsewhere" ] && [ "$node" = "$CLUSTER_QUEUE_NODE" ]; then
    look_again 200
  fi
  [ -n "$all" ]
}

# Whether job $1, which has not ended, can end on no other node of this home: nobody here would be told.
ends_here() {
  [ ! -e "$ROOT/jobs/$1" ] || return 0
  set +f
  set -- "$HOME"/.cluster-queue/*/jobs/"$1" "$STAGED"/*."$1"/want
  set -f
  for place in "$@"; do
    case $place in */want) ;; *) [ ! -e "$place" ] || return 1; continue ;; esac
    [ ! -e "$place" ] || while read -r able _; do [ "$able" = "$CLUSTER_QUEUE_NODE" ] || return 1; done <"$place"
  done
}

# Takes what the staged job in folder $1 needs of this node. Sets ALT, USE, UNITS, DEVS, LOCKS, VISIBLE, IP.
fits() {
  node=
  while read -r node IP cpus kib alternatives; do
    [ "$node" = "$CLUSTER_QUEUE_NODE" ] && break
  done <"$1/want"
  # Also for what this node cannot run, because others may come after that.
  [ ! -e "$1/after" ] || preceded "$1/after" || return 1
  [ "$node" = "$CLUSTER_QUEUE_NODE" ] || return 1
  ALT=0
  for alternative in $alternatives; do
    IFS=:
    set -- $alternative
    unset IFS
    USE=$1:$2 UNITS=$3 COUNT=$4
    if [ $((cpus - USED_CPUS)) -ge "$1" ] && [ $((kib - USED_KIB)) -ge "$2" ] && take_devices "$3" "$4" "${5-}"; then return 0; fi
    ALT=$((ALT + 1))
  done
  return 1
} 2>/dev/null

# Whether a client is on: it then decides what goes before a job that needs several nodes.
client_here() {
  uptime_s
  set +f
  for session in "$ROOT"/sessions/*; do
    # One from before a reboot may have left its number to another process.
    [ -e "$session/heard" ] && read -r began <"$session/start" && start_of "${session##*/}" && [ "$START" = "$began" ] &&
      read -r heard <"$session/heard" && [ $((NOW - heard)) -lt 45 ] && { set -f; return 0; }
  done 2>/dev/null
  set -f
  return 1
}

# Starts staged jobs in order, each that fits; `end_walk` must follow. The first becomes NEXT, for this process to
# supervise, when $1 is "mine"; all others get supervisors of their own. STARTED: what was started, as X and G lines have
# it. AGAIN: the tick at which to look again, see look_again.
walk() {
  STARTED= NEXT= AGAIN= WALKING=
  set +f
  set -- "$1" "$STAGED"/[0-9]*
  set -f
  [ -e "$2" ] || return 0
  hold_lock runner 18
  WALKING=1 mine=$1 failed=' ' BUSY=' ' LOOKED= HELD_NEW= lists=0
  read_books
  # On a home of many nodes some job is always just gone to another.
  while [ "$lists" -lt 10 ] && ! walk_list; do lists=$((lists + 1)); done
  forget_books
}

# Fails when a job of the list is gone: it may only have got another place, before those that are still to come. In the last
# list it is passed over.
walk_list() {
  # Not from before the lock, which another walk may have had for long: meanwhile jobs may have got other places. What comes
  # from now on is followed by a kick.
  set +f
  set -- "$STAGED"/[0-9]*
  set -f
  [ "$1" != "$STAGED/[0-9]*" ] || return 0
  for entry in "$@"; do
    if [ ! -e "$entry/want" ]; then moved "$entry" && return 1; continue; fi
    name=${entry##*/}
    uuid=${name##*.} class=${name#*.}
    class=${class%.*}
    case $failed in *" $class "*)
      case $DOOMED in *" $class "*) doom "$uuid" ;; esac
      continue ;;
    esac
    case ${name%%.*} in *a)
      if client_here; then look_again 1500; continue; fi ;;
    esac
    if ! fits "$entry"; then
      # Not its class did not fit.
      if [ ! -e "$entry" ]; then moved "$entry" && return 1; continue; fi
      failed="$failed$class "
      continue
    fi
    claim "$entry" "$uuid" && continue
    unlock_new
    ! moved "$entry" || return 1
  done
  return 0
}

# Whether the list should be made anew because of the job in folder $1.
moved() { [ ! -e "$1" ] && [ "$lists" -lt 9 ]; }

# Ends a walk, when what it started has been told: a supervisor that it spawned says nothing before.
end_walk() {
  [ -z "$WALKING" ] || drop_lock runner 18
  WALKING=
}

# Makes the staged job in folder $1 one of this node's and starts it; fails when its engine has just taken it back, or when
# the disk is full. All that needs room is written before the rename: there is no way back from it, and whoever finds the
# job here finds who supervises it.
claim() {
  job=$ROOT/jobs/$2
  [ ! -e "$job" ] || return 1
  start_of $$
  if ! UUID=$2 enter_books $$ "$START" "$USE" "$UNITS" "$LOCKS" || ! {
    name_supervisor "$1" $$ && printf '%s %s .\n' "${DEVS:--}" "$ALT" >"$1/took.$CLUSTER_QUEUE_NODE" &&
      printf 'export CUDA_VISIBLE_DEVICES=%s CQ_DEVICES=%s SKYPILOT_NUM_GPUS_PER_NODE=%s SKYPILOT_NODE_IPS=%s\n' "$VISIBLE" "$VISIBLE" "$COUNT" "$IP" >"$1/env.$CLUSTER_QUEUE_NODE" &&
      { [ ! -e "$ROOT/amd" ] || printf 'export HIP_VISIBLE_DEVICES=%s\n' "${VISIBLE:--1}" >>"$1/env.$CLUSTER_QUEUE_NODE"; }
  } 2>/dev/null; then
    rm -f "$ROOT/live/$2" "$1/sup.$CLUSTER_QUEUE_NODE" "$1/took.$CLUSTER_QUEUE_NODE" "$1/env.$CLUSTER_QUEUE_NODE"
    # No end of a job tells that there is room again; but mostly another node of the home was faster.
    [ ! -d "$1" ] || look_again 1500
    return 1
  fi
  if ! mv "$1" "$job" 2>/dev/null; then
    rm -f "$ROOT/live/$2"
    return 1
  fi
  if [ "$mine" = mine ] && [ -z "$NEXT" ]; then
    NEXT=$2
    MY_LAST=$LAST_LEASE HELD=$HELD_NEW HELD_NEW=
  else
    spawn "$job"
    start_of "$pid"
    UUID=$2 enter_books "$pid" "$START" "$USE" "$UNITS" "$LOCKS"
    name_supervisor "$job" "$pid"
  fi
  book_in "$USE" "$UNITS" "${LOCKS:--}"
  STARTED="$STARTED $2:${DEVS:--}:$ALT"
}

# Names process $2, which began at START, as the supervisor of the staged job in folder $1; in place and padded, so that a
# second name finds room on a full disk.
name_supervisor() {
  uptime_s
  printf '%s %s %s %s .%20s\n' "$2" "$START" "$BOOT" "$NOW" '' 1<>"$1/sup.$CLUSTER_QUEUE_NODE"
}

# A supervisor of its own for the claimed job in folder $1; it inherits the locks, and nobody else keeps them. Sets pid.
spawn() {
  (
    exec 17>&- 18>&- 8>&- 9>&-
    fd=$FIRST_LEASE
    while [ "$fd" -le "$MY_LAST" ]; do eval "exec $fd<&-"; fd=$((fd + 1)); done
    CLUSTER_QUEUE_HELD=$HELD_NEW exec $SETSID bash "$AGENT" claimed "$1" "$LAST_LEASE"
  ) </dev/null >/dev/null 2>&1 &
  pid=$!
  for held in $HELD_NEW; do start_of "$pid"; printf '%s %s\n' "$pid" "$START" >"$held/owner"; done
  HELD_NEW=
  unlock_new
}

# runner: starts what is staged when no job ends here to do it, and looks again while others hold what is needed
runner() {
  boot_id
  lease_dir
  cd "$HOME" || cd /
  waits=
  while :; do
    walk all
    for started in $STARTED; do push "G $started"; done
    end_walk
    if [ -z "$AGAIN" ]; then
      [ -n "$waits" ] || return 0
      # And once more: who has looked meanwhile, and found something to wait for, has left that to this process.
      drop_lock waiter 17
      waits=
      continue
    fi
    if [ -z "$waits" ]; then
      [ -p "$ROOT/wake" ] || mkfifo "$ROOT/wake" 2>/dev/null
      # Open before the lock is taken: what is written to a FIFO that nobody has open is lost.
      exec 9<>"$ROOT/wake"
      if ! hold_lock waiter 17 -n; then
        # The one that waits already may do so for something that comes later.
        echo >&9
        return 0
      fi
      waits=1
    fi
    tick
    left=$((AGAIN - TICK))
    [ "$left" -gt 0 ] || left=1
    seconds=$((left / 100))
    # Fractions are beyond bash 3, whose clock here has none.
    [ $((left % 100)) = 0 ] || seconds=$seconds.$(printf %02d $((left % 100)))
    read -r -t "$seconds" word <&9
  done
}

# Lets a runner look, when anything is staged.
kick() {
  set +f
  for entry in "$STAGED"/[0-9]*; do
    # Not with the locks of a job that this process has.
    [ ! -e "$entry" ] || (close_leases; exec $SETSID bash "$AGENT" runner) </dev/null >/dev/null 2>&1 8>&- &
    break
  done
  set -f
}
