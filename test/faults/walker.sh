# Put behind the agent's text (without its last lines) for walker.ts: plays `walk` (sh/walk.sh) and `finish` (sh/supervisor.sh)
# on nodes of which nothing but the jobs' processes is missing. Each line of stdin is a command; the answer is one line.
exec 2>&1
push() { :; }
kick() { :; }
nvidia-smi() { :; }
foreign_processes() {
  while read -r gpu; do echo "$gpu 1"; done <"$ROOT/strangers"
} 2>/dev/null

# Locks of jobs that run, by job: descriptors from 200 up, so that those below are free as they are in a supervisor.
declare -A ASIDE
SPARE=200

# put_aside UUID FROM
put_aside() {
  fd=$2
  while [ "$fd" -le "$LAST_LEASE" ]; do
    eval "exec $SPARE<&$fd"
    ASIDE[$1]="${ASIDE[$1]} $SPARE"
    SPARE=$((SPARE + 1)) fd=$((fd + 1))
  done
}

drop() {
  for fd in ${ASIDE[$1]}; do eval "exec $fd<&-"; done
  unset "ASIDE[$1]"
}

spawn() {
  pid=$$
  put_aside "${1##*/}" $((MY_LAST + 1))
  unlock_new
}

# home DIR: another home, with nothing in it
home() {
  for uuid in "${!ASIDE[@]}"; do drop "$uuid"; done
  SPARE=200 DOOMED=' ' HOME=$1 STAGED=$1/.cluster-queue/staged LEASES=$1/leases
}

# at NODE: on this node from now on; what nvidia-smi has said is forgotten, as after two seconds
at() { ROOT=$HOME/.cluster-queue/$1 CLUSTER_QUEUE_NODE=$1; rm -f "$ROOT/foreign"; }

# What a walk has started, and when it wants to look again.
tell() { echo "$STARTED |$AGAIN"; }

# A runner's look.
look() { JUST_FREED= ; walk all; tell; end_walk; }

# end UUID CODE HOW: as the supervisor of a job whose processes are gone
end() {
  UUID=$1 JOB=$ROOT/jobs/$1 CODE=$2 HOW=$3 TRY=1 HELD=
  for fd in ${ASIDE[$1]}; do
    LAST_LEASE=$((LAST_LEASE + 1))
    eval "exec $LAST_LEASE<&$fd"
  done
  drop "$1"
  MY_LAST=$LAST_LEASE
  finish
  [ -z "$NEXT" ] || { put_aside "$NEXT" "$FIRST_LEASE"; close_leases; }
  tell
}

# book UUID CPUS:KIB UNITS LEASE,…|- true|false: a job that a client has started, with its locks or not yet
book() {
  mkdir "$ROOT/jobs/$1"
  IFS=, leases=$4
  [ "$4" != - ] && [ "$5" = true ] || leases=
  [ "$3" = "$WHOLE" ] || leases=${leases:+s:$leases}
  for lease in $leases; do lock_one "$lease" || echo "cannot lock $lease"; done
  unset IFS
  put_aside "$1" "$FIRST_LEASE"
  close_leases
  start_of $$
  UUID=$1 enter_books $$ "$START" "$2" "$3" "$4"
}

# colleague LEASE: somebody else's queue locks it
colleague() {
  lock_one "$1" || echo "cannot lock $1"
  put_aside "colleague:$1" "$FIRST_LEASE"
  close_leases
}

boot_id
while IFS= read -r command; do $command; echo .; done
