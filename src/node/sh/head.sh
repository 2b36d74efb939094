# Cluster Queue's node agent. POSIX sh (dash, bash, busybox ash); no root, nothing to install, no daemon.
#
#   sh agent.sh session          one per connection: requests on stdin, answers and events on stdout
#   bash agent.sh supervise DIR …  one per running job (rank), detached; outlives every connection
#   bash agent.sh runner         while staged jobs wait for what no end of a job here will tell of, see walk.sh
#   sh agent.sh kill DIR GRACE   one per cancel, detached
#   sh agent.sh sweep DAYS       one per connection, detached: see sweep.sh
#   sh agent.sh boot MACHINE     when the machine has started, where a client asked for that: see boot.sh
#   perl -x agent.sh …           what must be fast, where the node has perl: see perl/common.pl
#
# The line protocol is described in wire.ts. Everything kept on the node is below ROOT:
#   jobs/UUID/  env, run (what to run) · sup (who supervises) · took ("DEVICES ALTERNATIVE .") · run.log (see logs.sh) · cancel ·
#               try, again, timeout (of one with a time limit or retries) · containers (see containers.sh) · carried (of a
#               setup whose results others have, see files.sh) · told (see sweep.sh; with perl it is what was `run`) · exit ("CODE UPTIME BOOT HOW TRY .") · of one that was staged here, sup.NODE
#               and took.NODE instead, and env.NODE
#   sessions/PID/ev   a FIFO into which supervisors push what happened; the session's mux is its only reader
# but for the trees of workdirs, which nodes with one home share (WORK):
#   work/SNAPSHOT/    never changed once it is there; two of them may have files in common (hard links)
#
# A file is made by `true >FILE`: where `: >FILE` fails, or any other special builtin, sh ends.
set -f
# What files of jobs are made with; our own are nobody else's.
export CQ_UMASK="${CQ_UMASK:-$(umask)}"
umask 077
AGENT=$0
# Not the login shell's choice: a C locale counts bytes, and byte offsets are what logs are addressed by.
LC_ALL=C
export LC_ALL
unset CDPATH ENV BASH_ENV CLUSTER_QUEUE_JOB

# Prints a line into a pipe that may be full. busybox's printf gives up, and forgets the line, when a child ends while it waits;
# of what is no longer than PIPE_BUF nothing has been written then.
put_line() {
  if [ ${#1} -gt 4000 ]; then
    printf '%s\n' "$1" | cat
    return
  fi
  puts=0
  until printf '%s\n' "$1"; do
    puts=$((puts + 1))
    [ "$puts" -lt 1000 ] || return 1
  done
}

# Sets MACHINE to what tells this machine from others.
machine_id() {
  host=$(uname -n)
  machine=
  [ -r /etc/machine-id ] && IFS= read -r machine </etc/machine-id
  # On a home that many nodes share the host name alone may not tell them apart (cloned images).
  machine=$(printf %.8s "$machine")
  MACHINE=$host${machine:+-$machine}
}
ROOT=$HOME/.cluster-queue/${CLUSTER_QUEUE_NODE:=${CLUSTER_QUEUE_NODE_ID:-$(machine_id; printf %s "$MACHINE")}}
STAGED=$HOME/.cluster-queue/staged
export CLUSTER_QUEUE_NODE
WORK=$HOME/.cluster-queue/work
KFD=${CLUSTER_QUEUE_KFD:-/sys/class/kfd/kfd}

# Where the node has perl, it does what must be fast (perl/common.pl), and it locks as flock(1) does: all agents of a node
# must do that in one way.
have_perl() {
  [ "${CLUSTER_QUEUE_RELAY-}" != no ] && [ -d /proc/self ] && command -v flock &&
    PERL5OPT= PERL5LIB= perl -e 'use 5.014; use Config'
} >/dev/null 2>&1

case ${1-} in session | runner)
  if have_perl; then
    # What the user has for perl programs of his is kept from this one, which gives it back to jobs.
    [ -z "${PERL5OPT+set}" ] || export CQ_PERL5OPT="$PERL5OPT"
    [ -z "${PERL5LIB+set}" ] || export CQ_PERL5LIB="$PERL5LIB"
    unset PERL5OPT PERL5LIB
    exec perl -x "$AGENT" "$1"
  fi ;;
esac
