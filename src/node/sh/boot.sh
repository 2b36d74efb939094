# ---------------------------------------------------------------- after a reboot, where a client asked for it
#
#   ROOT/boot/run         what cron or systemd runs when the machine has started
#   ROOT/boot/for.OWNER   one for each cluster that asked for it

# at_boot ID on|off|leave: has what is staged here resumed at boot, or not any more; leave: as far as this client's cluster
# is concerned
do_at_boot() {
  SAID= WAY=none
  asker=somebody
  read -r asker <"$SESSION/owner"
  asker=$ROOT/boot/for.$(printf %s "$asker" | tr / +)
  # Another queue of the same home may be at it, and a crontab is read, changed and written.
  until lease_by_mkdir "$ROOT/boot.held" keep; do sleep 0.05 || sleep 1; done
  case $2 in
    on) boot_on || boot_wanted || rm -rf "$ROOT/boot" ;;
    off) set +f; rm -f "$ROOT"/boot/for.*; set -f; boot_off ;;
    leave)
      rm -f "$asker"
      if boot_wanted; then WAY=kept; elif [ -d "$ROOT/boot" ]; then boot_off; fi ;;
  esac
  rm -rf "$ROOT/boot.held"
  if [ -z "$SAID" ]; then reply "= $1 ok $WAY"; else reply "= $1 err boot $SAID"; fi
} 2>/dev/null

# Whether a cluster has asked for it and is not gone.
boot_wanted() {
  set +f
  for asked in "$ROOT"/boot/for.*; do break; done
  set -f
  [ -e "$asked" ]
}

# Sets WAY; fails, and SAID says why, when this cannot be.
boot_on() {
  if ! { mkdir -p "$ROOT/boot" && write_boot_run && true >"$asker"; }; then no_room "$ROOT/boot"; return 1; fi
  boot_names
  run=$(quoted "$ROOT/boot/run")
  # In a crontab % would end the command.
  if change_crontab "$(printf '@reboot test -r %s && sh %s ' "$run" "$run" | sed -e 's/%/\\%/g')$MARK"; then
    WAY=cron
    # A container may have the program, and nobody who acts on it.
    cron_runs || WAY='cron idle'
    remove_unit
    return
  fi
  why=$SAID SAID=
  if add_unit; then WAY=systemd; return; fi
  SAID="$why; $SAID"
  rm -f "$asker"
  return 1
}

# Sets WAY; SAID says what could not be undone.
boot_off() {
  boot_names
  had=
  [ ! -e "$ROOT/boot/run" ] || had=1
  mkdir -p "$ROOT/boot"
  if [ -e "$UNITS/$UNIT" ]; then remove_unit; WAY=removed had=; fi
  if command -v crontab >/dev/null; then
    if change_crontab ''; then [ -z "$CHANGED" ] || WAY=removed
    # Who may not have a crontab has none of ours.
    elif [ -z "$had" ]; then SAID=; fi
  fi
  [ -n "$SAID" ] || rm -rf "$ROOT/boot"
}

boot_names() {
  # The line that has the engine started at login ends differently.
  MARK="# cluster-queue on $CLUSTER_QUEUE_NODE"
  UNIT=cluster-queue-$CLUSTER_QUEUE_NODE.service
  UNITS=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user
}

# Sets SAID to why nothing can be written to folder $1.
no_room() {
  SAID=$(why_not "$1/try")
  rm -rf "$1/try"
  SAID=${SAID:-cannot write to $1}
}

# What a program said, as a part of one line.
brief() { printf %s "$1" | head -n 1 | cut -c 1-300; }

# Prints $1 as one word of sh.
quoted() { printf "'%s'" "$(printf %s "$1" | sed -e "s/'/'\\\\''/g")"; }

# What is run at boot knows nothing of a login: it gets what a session has that jobs and the agent may need.
write_boot_run() {
  machine_id
  {
    echo '# Cluster Queue: what waits here starts after a reboot. Installed and removed by: cq resume-at-boot'
    for name in HOME PATH USER LOGNAME SHELL LANG LD_LIBRARY_PATH CLUSTER_QUEUE_NODE CLUSTER_QUEUE_LEASES CLUSTER_QUEUE_KFD \
      CLUSTER_QUEUE_BOOT_ID_FILE CLUSTER_QUEUE_RELAY CLUSTER_QUEUE_GO_TIMEOUT CLUSTER_QUEUE_RETRY_PAUSE; do
      eval "value=\${$name-}"
      [ -z "$value" ] || printf 'export %s=%s\n' "$name" "$(quoted "$value")"
    done
    # Agents that nobody uses any more are removed, see sweep.
    echo 'agent=$(ls -t "$HOME"/.cluster-queue/agent/*.sh 2>/dev/null | head -n 1)'
    printf '[ -z "$agent" ] || exec sh "$agent" boot %s </dev/null >/dev/null 2>&1\n' "$(quoted "$MACHINE")"
    echo '# whole'
  } >"$ROOT/boot/run.new" && [ "$(tail -n 1 "$ROOT/boot/run.new")" = '# whole' ] && mv "$ROOT/boot/run.new" "$ROOT/boot/run"
}

# ---------------------------------------------------------------- cron

# Puts line $1, or none, in the place of ours in the user's crontab, and sets CHANGED when that changed anything. Fails, and
# SAID says why, when the table cannot be had for certain: what the user has in it must not be lost.
change_crontab() {
  CHANGED=
  command -v crontab >/dev/null || { SAID='it has no crontab'; return 1; }
  read_crontab || return
  case $TABLE in *" $MARK"*) ;; *) [ -n "$1" ] || return 0 ;; esac
  new=$(printf %s "$TABLE" | without_ours; [ -z "$1" ] || printf '%s\n' "$1"; echo .)
  new=${new%.}
  [ "$new" != "$TABLE" ] || return 0
  # Not by a pipe: of one whose writer is killed crontab would take the half that came.
  printf %s "$new" >"$ROOT/boot/crontab" || { no_room "$ROOT/boot"; return 1; }
  said=$(crontab - <"$ROOT/boot/crontab" 2>&1) || { SAID="its crontab cannot be written: $(brief "$said")"; return 1; }
  CHANGED=1
}

# Sets TABLE to the user's crontab.
read_crontab() {
  if TABLE=$(crontab -l 2>"$ROOT/boot/said" && echo .); then TABLE=${TABLE%.}; return 0; fi
  TABLE=
  said=$(brief "$(cat "$ROOT/boot/said")")
  # Of a user who has none, in the words of vixie-cron and cronie, and of busybox.
  case $said in *'no crontab for'* | *': No such file or directory') return 0 ;; esac
  SAID="its crontab cannot be read: $said"
  return 1
}

without_ours() {
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in *" $MARK") ;; *) printf '%s\n' "$line" ;; esac
  done
}

# Whether a cron can be seen, or nobody here can see what others run.
cron_runs() {
  [ -d /proc/1 ] || return 0
  set +f
  cat /proc/[0-9]*/comm 2>/dev/null | grep -q -x -e cron -e crond -e dcron -e fcron -e bcron-sched
  set -- $?
  set -f
  return "$1"
}

# ---------------------------------------------------------------- systemd

# Fails, and SAID says why.
add_unit() {
  command -v systemctl >/dev/null && command -v loginctl >/dev/null || { SAID='and no systemd'; return 1; }
  user=$(id -un)
  export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
  # Else systemd begins with the user's first login, and ends what it has started, jobs too, with the last one.
  if [ ! -e "/var/lib/systemd/linger/$user" ] && ! said=$(loginctl --no-ask-password enable-linger 2>&1); then
    SAID="systemd does not let $user linger ($(brief "$said")): ask whoever has root there for: loginctl enable-linger $user"
    return 1
  fi
  mkdir -p "$UNITS" && unit_text >"$UNITS/$UNIT" || { no_room "$UNITS"; return 1; }
  # It may not be there at once for a user who has just begun to linger.
  tries=0
  until said=$(systemctl --user daemon-reload 2>&1) || [ "$tries" -ge 5 ]; do
    tries=$((tries + 1))
    sleep 1
  done
  said=$(systemctl --user enable "$UNIT" 2>&1) && return
  SAID="systemctl --user did not take $UNIT: $(brief "$said")"
  remove_unit
  return 1
}

# A user unit; quoting as in systemd.service(5), "COMMAND LINES".
unit_text() {
  run=$(printf %s "$ROOT/boot/run" | sed -e 's/%/%%/g')
  word=$(printf %s "$run" | sed -e 's/[\\"]/\\&/g' -e 's/\$/$$/g')
  printf '%s\n' '[Unit]' "Description=Cluster Queue: what waits on $CLUSTER_QUEUE_NODE starts after a reboot" \
    "ConditionPathExists=$run" 'ConditionPathExists=/var/lib/systemd/linger/%u' '' '[Service]' "ExecStart=/bin/sh \"$word\"" \
    '# Jobs are its children, and go on without it.' 'KillMode=process' '' '[Install]' 'WantedBy=default.target'
}

remove_unit() {
  [ -e "$UNITS/$UNIT" ] || return 0
  export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
  systemctl --user disable "$UNIT"
  rm -f "$UNITS/$UNIT" "$UNITS/default.target.wants/$UNIT"
  systemctl --user daemon-reload
} >/dev/null 2>&1

# ---------------------------------------------------------------- at boot

# boot MACHINE: what the first contact after a reboot does too: lets a runner look. No client is there to see what the machine
# has now, so not before the devices are.
boot() {
  machine_id
  # Of machines with one home each runs what lies there for all, where that is systemd's.
  [ "$MACHINE" = "$1" ] || return 0
  uptime_s
  end=$((NOW + ${CLUSTER_QUEUE_BOOT_WAIT:-600}))
  until devices_there; do
    uptime_s
    [ "$NOW" -lt "$end" ] || return 0
    sleep 2
  done
  # Without setsid(1) (macOS) job control gives a background process a group of its own.
  [ -n "$SETSID" ] || set -m
  kick
}

# Whether this node has all devices that staged jobs name: a driver may come later than cron.
devices_there() {
  limit_tools
  set +f
  needed=$(cat "$STAGED"/[0-9]*/want 2>/dev/null | named_devices | sort -u)
  # What AMD's have for a name depends on the tool that told it, so they are only counted.
  amd=$(cat "$KFD"/topology/nodes/*/gpu_id 2>/dev/null | grep -c '[1-9]')
  set -f
  there=
  case $needed in *GPU-* | *MIG-*) there=$({ $LIMIT nvidia-smi --query-gpu=uuid --format=csv,noheader; $LIMIT nvidia-smi -L; } 2>/dev/null | tr / +) ;; esac
  for lease in $needed; do
    case $lease in AMD-*) amd=$((amd - 1)); continue ;; esac
    case $there in *"$lease"*) ;; *) return 1 ;; esac
  done
  case $needed in *AMD-*) [ "$amd" -ge 0 ] ;; esac
}

# Prints the leases of this node's devices, which are no mere numbers, in the text of `want` files on stdin.
named_devices() {
  awk -v node="$CLUSTER_QUEUE_NODE" '$1 == node {
    for (i = 5; i <= NF; i++) {
      n = split($i, part, ":")
      m = n < 5 ? 0 : split(part[5], device, ",")
      for (j = 1; j <= m; j++) { sub(/^[0-9]*=/, "", device[j]); if (device[j] !~ /^virtual-/) print device[j] }
    }
  }'
}

