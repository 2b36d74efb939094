# ---------------------------------------------------------------- leases

lease_dir() {
  # /dev/shm is per boot, sticky, and never swept by a cleaner of /tmp.
  LEASES=${CLUSTER_QUEUE_LEASES:-/dev/shm/cluster-queue}
  [ -d "${LEASES%/*}" ] && [ -w "${LEASES%/*}" ] || LEASES=/tmp/.cluster-queue-leases
  [ -d "$LEASES" ] || mkdir -m 1777 "$LEASES" 2>/dev/null
}

# Locks device $1 on file descriptor $2, or prints nothing and fails. "s:NAME" shares it (fractions of one GPU).
lease() {
  mode=-x name=$1
  case $1 in s:*) mode=-s name=${1#s:} ;; esac
  file=$LEASES/$name
  [ -e "$file" ] || (umask 0; true >"$file") 2>/dev/null
  if command -v flock >/dev/null 2>&1; then
    # Opened read-only: another user's lock file can be locked, but (sticky folder) neither changed nor removed.
    eval "exec $2<\"\$file\"" && flock -n $mode "$2" || return
  else
    lease_by_mkdir "$file.held" || return
  fi
  # So that others can tell whose it is.
  { true >"$file.by.${EUID:-0}"; } 2>/dev/null || :
}

# Prints the user whose queue last took lease $1.
lease_user() {
  set +f
  last=$(ls -t "$LEASES/$1".by.* | head -n 1)
  set -f
  [ -z "$last" ] || owner_of "$last"
} 2>/dev/null

owner_of() { ls -ld "$1" 2>/dev/null | awk '{ print $3 }'; }

# Prints "LEASE USER" for each device that another user's queue has. The kernel tells everybody what is locked, by whom
# however only as long as flock(1) runs.
held_by_others() {
  lease_dir
  me=$(id -un)
  set +f
  ls -i "$LEASES" | while read -r inode name; do
    case $name in
      *.by.*) continue ;;
      *.held) name=${name%.held}; read -r pid began <"$LEASES/$name.held/owner" && start_of "$pid" && [ "$START" = "$began" ] || continue ;;
      *) grep -q "FLOCK .*:$inode " /proc/locks || continue ;;
    esac
    user=$(lease_user "$name")
    [ -z "$user" ] || [ "$user" = "$me" ] || echo "$name $user"
  done
  set -f
} 2>/dev/null

# Without flock(1): a folder made by one atomic mkdir, naming its owner, taken over when that process is gone. Noted in
# HELD_NEW, to be removed, unless $2 says otherwise.
lease_by_mkdir() {
  if ! mkdir "$1" 2>/dev/null; then
    read -r owner began <"$1/owner" 2>/dev/null || return 1
    start_of "$owner" && [ "$START" = "$began" ] && return 1
    mv "$1" "$1.$$" 2>/dev/null && rm -rf "$1.$$" && mkdir "$1" 2>/dev/null || return 1
  fi
  start_of $$
  printf '%s %s\n' $$ "$START" >"$1/owner"
  [ -n "${2-}" ] || HELD_NEW="$HELD_NEW $1"
}

# Locks these devices, or none, and sets BUSY to the one that another has.
lease_all() {
  HELD_NEW=
  for device in "$@"; do
    LAST_LEASE=$((LAST_LEASE + 1))
    lease "$device" "$LAST_LEASE" && continue
    BUSY=${device#s:} HELD=$HELD_NEW HELD_NEW=
    free_devices
    return 1
  done
}

# Locks the devices of this process's own job, which is in the books, or none, and sets BUSY to the one that another has.
lease_mine() {
  [ -n "$SHARED" ] || ! lease_all "$@" || return 0
  # Also because who looks for the next staged job may have had a device for a moment, for a job that was just taken back.
  hold_lock runner 18
  shares_left && lease_all "$@"
  set -- $?
  [ "$1" != 0 ] || [ -z "$SHARED" ] || { start_of $$; enter_books $$ "$START" "$USE" "$UNITS" "$LOCKS"; } 2>/dev/null
  drop_lock runner 18
  return "$1"
}

# Whether there is room on all devices that the job is to have a share of: any number could have the lock of a shared device. Of
# those that come at once the first gets it.
shares_left() {
  [ -n "$SHARED" ] || return 0
  read_books "$UUID"
  full=
  for device in $SHARED; do
    device_var "$device"
    eval "[ \$((\${$VAR:-0} + UNITS)) -le $WHOLE ]" || full=$device
  done
  forget_books
  [ -z "$full" ] || { BUSY=$full; return 1; }
}

# Frees this process's own job's devices.
free_devices() {
  close_leases
  [ -z "$HELD" ] || rm -rf $HELD
  HELD=
}

# Lets go of them in this process alone, which may be a helper.
close_leases() {
  while [ "$LAST_LEASE" -ge "$FIRST_LEASE" ]; do
    eval "exec $LAST_LEASE<&-"
    LAST_LEASE=$((LAST_LEASE - 1))
  done
  MY_LAST=$LAST_LEASE
}
