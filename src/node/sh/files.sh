# ---------------------------------------------------------------- files: workdirs, and what goes with them

# The job's own copy of its workdir, made before it holds any device. Never hard links: those of other jobs would change too.
copy_workdir() {
  [ "$SNAPSHOT" != - ] || return 0
  # Never made by that: an empty file of this name would be in the way of every later sync.
  touch -c "$WORK/$SNAPSHOT" 2>/dev/null
  cp -a --reflink=auto "$WORK/$SNAPSHOT" "$JOB/workdir" 2>/dev/null && return
  rm -rf "$JOB/workdir"
  cp -Rp "$WORK/$SNAPSHOT" "$JOB/workdir" 2>"$JOB/rc.log" && return
  true >"$JOB/began"
  { echo "[cluster-queue] the workdir could not be copied for this job:"; head -n 5 "$JOB/rc.log"; } >>"$JOB/run.log" 2>&1
  return 1
}

# carry SETUP|- same|other [MOUNT …], run in a job's workdir: gives it what job SETUP has made in its own, by links, for a venv is
# many files and knows its own path; with "same" (the workdirs were the same) also what that has changed. MOUNTs are
# file_mounts that belong there and lie below the home. What the workdir has itself stays.
carry() {
  from= how=$2
  set +f
  for dir in "$ROOT/jobs/$1"-*/workdir; do [ ! -d "$dir" ] || from=$dir; done
  shift 2
  if [ -n "$from" ]; then
    # It is needed as long as jobs come, see sweep.sh.
    true >"${from%/workdir}/carried"
    (carry_results)
  fi
  for mount in "$@"; do
    ! is_there "$mount" && is_there "$HOME/$mount" || continue
    case $mount in */*) mkdir -p "${mount%/*}" ;; esac
    ln -s "$HOME/$mount" "$mount"
  done
}

carry_results() {
  # Folders that both have are looked into.
  set -- .
  while [ $# -gt 0 ]; do
    folder=$1
    shift
    for entry in "$from/$folder"/* "$from/$folder"/.[!.]* "$from/$folder"/..?*; do
      is_there "$entry" || continue
      to=$folder/${entry##*/}
      case $to in
        */__pycache__) continue ;;
        # Of other code than the setup's.
        ./.git) [ "$how" = same ] || continue ;;
      esac
      if ! is_there "$to"; then
        # Where results go is no result: one folder for all jobs would mix them.
        if is_empty "$entry"; then mkdir "$to"; else ln -s "$entry" "$to"; fi
      elif [ -L "$entry" ] || [ -L "$to" ]; then
        continue
      elif [ -d "$entry" ]; then
        [ ! -d "$to" ] || set -- "$@" "$to"
      elif [ "$how" = same ] && [ -f "$to" ] && ! [ "${from%/workdir}/started" -nt "$entry" ]; then
        cp -p "$entry" "$to"
      fi
    done
  done
}

is_there() { [ -e "$1" ] || [ -L "$1" ]; }

# Whether it is a folder with nothing in it.
is_empty() {
  [ -d "$1" ] && [ ! -L "$1" ] || return 1
  for inside in "$1"/* "$1"/.[!.]* "$1"/..?*; do ! is_there "$inside" || return 1; done
}

# unpack SNAPSHOT NEW part|whole z|-: a workdir as a tar stream on stdin, whole or not at all. All of it is below the folder
# NEW, hard links to files of other snapshots among it, and NEW.end comes last: a stream may be cut between two members.
unpack() {
  boot_id
  mkdir -p "$WORK" && cd "$WORK" || exit 1
  umask "$CQ_UMASK"
  # What an earlier try has brought; but a restart may have cost that its last writes.
  mv "$1.$BOOT.part" "$2" 2>/dev/null || mkdir "$2" || exit 1
  if [ "$3" = part ]; then
    find "$2" -type f -exec wc -c {} + 2>/dev/null
    echo CQ1 go
  fi
  if words=$(tar "-x${4#-}f" - 2>&1) && [ -e "$2.end" ]; then
    rm -f "$2.end"
    # An agent of before has left an empty file in the place of a tree that was swept.
    [ -d "$1" ] || rm -f "$1" 2>/dev/null
    [ -d "$1" ] || mv "$2" "$1" || exit 1
    # Another sync of the same was a moment faster.
    [ ! -d "$1/$2" ] || rm -rf "${1:?}/$2"
    echo CQ1 ok
    exec >/dev/null
    rm -rf "$2"
    sweep_work
  else
    rm -f "$2.end"
    case $words in
      *'o space left'* | *uota*) rm -rf "$2" ;;
      *) rm -rf "$1.$BOOT.part"; mv "$2" "$1.$BOOT.part" ;;
    esac
    # The disk's own words before what came of it.
    { printf '%s\n' "$words" | grep -e 'o space left' -e uota; printf '%s\n' "$words"; } 2>/dev/null | head -n 1 | cut -c 1-300
    exit 1
  fi
}

# give UUID: files from a job's own folder as a tar stream, after "CQ1 tar KILOBYTES"; which, say the patterns on stdin, an
# encoded word on each line. "CQ1 gone", "CQ1 home" (it had no workdir) and "CQ1 empty" say why there is none.
give() {
  cd "$ROOT/jobs/$1" 2>/dev/null || { echo CQ1 gone; exit 1; }
  cd workdir 2>/dev/null || { echo CQ1 home; exit 1; }
  set --
  set +f
  IFS=
  while read -r line; do
    pattern=$(printf %b "$line"; echo .)
    for file in ./${pattern%.}; do
      # What the setup has made is behind a link, see carry.
      case $(readlink "$file") in "$ROOT"/jobs/*/workdir/*) [ ! -d "$file" ] || file=$file/ ;; esac
      ! is_there "$file" || set -- "$@" "$file"
    done
  done
  unset IFS
  set -f
  [ $# -gt 0 ] || { echo CQ1 empty; exit 1; }
  size=$(du -skc "$@" 2>/dev/null | tail -n 1)
  printf 'CQ1 tar %s\n' "${size%%[!0-9]*}"
  tar -cf - "$@"
  # 1: a file changed while it was read, as those of a running job do.
  [ $? -le 1 ]
}

# Sets HOME_ID to what nodes with this home have in common.
home_id() {
  HOME_ID=
  {
    if [ ! -s "$WORK/id" ]; then
      # Not with what it lies in: for a probe that goes on while all is removed, see clear_out.
      [ -d "$WORK" ] || mkdir "$WORK"
      # In one step: another node of this home may be at it too, and must not read half of it.
      new=$WORK/id.$CLUSTER_QUEUE_NODE.$$ && printf '%s\n' "$BOOT-$$" >"$new" && [ -s "$new" ] &&
        { ln "$new" "$WORK/id" || [ -e "$WORK/id" ] || mv "$new" "$WORK/id"; }
      rm -f "$new"
    fi
    read -r HOME_ID <"$WORK/id"
  } 2>/dev/null
  [ -n "$HOME_ID" ] || HOME_ID=$CLUSTER_QUEUE_NODE
}

# has ID SNAPSHOT OTHER…: whether it is here; if not, whose home this is, whether a part of it is here, and which others are
do_has() {
  id=$1 name=$2
  shift 2
  # What is told to be here stays until the job comes that it is asked for, see sweep_work.
  touch -c "$WORK/$name" 2>/dev/null
  # On NFS, reading the folder shows what another node has just put there.
  [ -d "$WORK/$name" ] || { set +f; for entry in "$WORK"/*; do break; done; set -f; }
  if [ -d "$WORK/$name" ]; then reply "= $id ok yes"; return; fi
  home_id
  found=
  for entry in "$@"; do [ ! -d "$WORK/$entry" ] || found="$found $entry"; done
  part=whole
  [ ! -d "$WORK/$name.$BOOT.part" ] || part=part
  reply "= $id ok no $HOME_ID $part$found"
}

# place ID SNAPSHOT DESTINATION: a file_mount, from its unpacked snapshot to where the task wants it
do_place() {
  # printf eats nothing at the end that a path may hold, once something follows it.
  to=$(printf %b "$3"; echo .)
  to=${to%.}
  case $to in
    /*) ;;
    '~/'*) to=$HOME/${to#??} ;;
    *) to=$HOME/$to ;;
  esac
  from=$WORK/$2
  words=$({
    umask "$CQ_UMASK"
    # Nodes with one home put it to the same place: one after the other, as what they fetch themselves (remoteMount.ts).
    flock 9 2>/dev/null
    if [ -e "$from/.cluster-queue-file" ]; then mkdir -p "${to%/*}" && cp -Rp "$from/.cluster-queue-file" "$to"
    else mkdir -p "$to" && cp -Rp "$from/." "$to/"; fi
  } 2>&1 9>>"$HOME/.cluster-queue/mounts.lock" | head -n 1 | cut -c 1-300)
  [ -z "$words" ] && reply "= $1 ok" || reply "= $1 err write $words"
}
