# ---------------------------------------------------------------- what ended jobs leave, see head.sh

# Takes secrets away from job $1 (directory) that nobody runs any more, e.g. after a power cut.
empty_env() {
  [ -s "$1/env" ] || return 0
  if [ ! -e "$1/exit" ]; then
    # Without a name it is about to start, or waits; half a name is one that is being written.
    sup_file "$1"
    [ -e "$SUP" ] && read_sup "$1" || return 0
    [ "$boot" != "$BOOT" ] || ! start_of "$sup" || [ "$START" != "$began" ] || return 0
  fi
  true >"$1/env"
}

# sweep DAYS: empties what secrets are left, and once a day removes what is not needed any more: folders of ended jobs DAYS
# after a client had all of them (of setups 90 days after the last job that needed them), and of those that no client ever
# asked for after 90 days; workdirs that no job has used for two weeks; agents that nobody has used for 90 days.
sweep() {
  boot_id
  set +f
  for job in "$ROOT"/jobs/*; do empty_env "$job"; done
  [ -z "$(find "$ROOT/swept" -mtime -1 2>/dev/null)" ] || return 0
  true >"$ROOT/swept"
  # By another's session the agent of a job that runs could be taken for unused: those on one home share the folder.
  touch "$AGENT" 2>/dev/null
  for job in "$ROOT"/jobs/*; do
    [ ! -e "$job/exit" ] && supervisor_lives "$job" || continue
    script=$(tr '\0' ' ' <"/proc/$sup/cmdline" 2>/dev/null | sed -n 's|^[^/]*\(/.*/agent/[^/ ]*\.sh\) .*|\1|p')
    [ -z "$script" ] || touch -c "$script"
  done
  { find "$ROOT/jobs" -mindepth 2 -maxdepth 2 -name told -mtime "+$1"
    find "$ROOT/jobs" -mindepth 1 -maxdepth 1 -mtime +90; } 2>/dev/null |
    while IFS= read -r job; do
      job=${job%/told}
      [ -e "$job/exit" ] || ! supervisor_lives "$job" || continue
      # What a setup has made, see carry in files.sh.
      [ -z "$(find "$job/carried" -mtime -90 2>/dev/null)" ] || continue
      # Renamed first: it is there whole or not at all.
      mv "$job" "$job.dead.$$" 2>/dev/null && rm -rf "$job.dead.$$"
    done
  find "$ROOT/jobs" -mindepth 1 -maxdepth 1 \( -name '*.dead.*' -o -name '*.busy.*' \) -mtime +1 -exec rm -rf {} + 2>/dev/null
  # What killed sessions were about to stage or to take back, with its secrets.
  find "$STAGED" -mindepth 1 -maxdepth 1 \( -name '.new.*' -o -name '.gone.*' \) -mtime +0 -exec rm -rf {} + 2>/dev/null
  sweep_work
  find "${AGENT%/*}" -mindepth 1 -maxdepth 1 -name '*.sh' -mtime +90 2>/dev/null |
    while IFS= read -r script; do rm -rf "$script" "${script%.sh}.bin"; done
}

# Workdirs that no job has used for two weeks, and what was broken off, make room. Those of staged jobs are in use, however
# long these wait.
sweep_work() {
  set +f
  for how in "$STAGED"/*/how; do
    [ -e "$how" ] && read -r _ snapshot _ <"$how" && [ -d "$WORK/$snapshot" ] && touch -c "$WORK/$snapshot"
  done 2>/dev/null
  set -f
  find "$WORK" -mindepth 1 -maxdepth 1 ! -name id -mtime +14 2>/dev/null |
    while IFS= read -r tree; do
      # Those before it may have taken minutes, and a job that needs it may have come. Renamed first: it is there whole or not at all.
      [ -z "$(find "$tree" -mindepth 0 -maxdepth 0 -mtime +14 2>/dev/null)" ] || { mv "$tree" "$WORK/new-$$" && rm -rf "$WORK/new-$$"; } 2>/dev/null
    done
  find "$WORK" -mindepth 1 -maxdepth 1 \( -name 'new-*' -o -name '*.part' \) -mtime +1 -exec rm -rf {} + 2>/dev/null
}

# Notes that a client has all of job $1, so that its folder may go after a while.
told() {
  [ -d "$ROOT/jobs/$1" ] && [ ! -e "$ROOT/jobs/$1/told" ] || return 0
  tell_state "$1"
  case $STATE in ended* | dead*) true >"$ROOT/jobs/$1/told" ;; esac
} 2>/dev/null

forget() {
  [ -n "$1" ] || return
  tell_state "$1"
  case $STATE in ended* | dead* | new) rm -rf "${ROOT:?}/jobs/$1" "$ROOT/live/$1" ;; esac
}

# Nothing of ours stays, where no job and no other session needs it. A runner or a sweep that has just begun may write while
# all is removed, and a session of a process that has just ended may not know yet; one that comes meanwhile needs it.
clear_out() {
  tries=0
  is_heard
  earlier=$HEARD
  until { [ -z "$HEARD" ] && remove_all; } || is_needed || [ "$tries" -ge 50 ]; do
    tries=$((tries + 1))
    sleep 0.2 2>/dev/null || sleep 1
    is_heard
    for one in $HEARD; do
      case "$earlier " in *" $one "*) ;; *) return ;; esac
    done
  done
}

is_needed() {
  boot_wanted && return
  set +f
  for entry in "$STAGED"/[0-9]* "$ROOT"/jobs/*; do
    [ ! -e "$entry" ] || break
  done
  set -f
  [ -e "$entry" ]
}

# Fails where something of ours stays.
remove_all() {
  # What another queue will stage here is to be resumed at boot.
  ! boot_wanted || return 1
  sweep_sessions
  remove_empty "$STAGED" || return 1
  remove_empty "$ROOT/sessions" || { mkdir -p "$STAGED"; return 1; }
  remove_empty "$ROOT/jobs" || { mkdir -p "$STAGED" "$ROOT/sessions"; return 1; }
  [ ! -d "$ROOT/boot" ] || boot_off
  rm -rf "${ROOT:?}" || return 1
  # Other nodes may have the same home.
  others=
  set +f
  for entry in "$HOME"/.cluster-queue/*; do
    case $entry in */agent | */work | */mounts | */mounts.lock) ;; *) [ ! -e "$entry" ] || others=1 ;; esac
  done
  set -f
  [ -z "$others" ] || return 0
  rm -rf "$HOME/.cluster-queue/agent" "$HOME/.cluster-queue/mounts" "$HOME/.cluster-queue/mounts.lock" "${WORK:?}" && remove_empty "$HOME/.cluster-queue"
} 2>/dev/null

remove_empty() { [ ! -d "$1" ] || rmdir "$1"; }
