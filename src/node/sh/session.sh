# ---------------------------------------------------------------- the session: one per connection

# Ends the session of folder $1, whose client then connects anew; fails when it is gone.
stop_session() {
  read -r began <"$1/start" && start_of "${1##*/}" && [ "$START" = "$began" ] && kill "${1##*/}"
}

# Whether the session of a folder lives; after a reboot its number may be another process's.
session_lives() {
  start_of "${1##*/}" || return 1
  # It is about to write it.
  read -r began <"$1/start" || return 0
  [ "$START" = "$began" ]
} 2>/dev/null

# Whether a session is open; sets HEARD to the numbers of all that are.
is_heard() {
  HEARD=
  set +f
  for dir in "$ROOT"/sessions/*; do
    [ -p "$dir/ev" ] && session_lives "$dir" && HEARD="$HEARD ${dir##*/}"
  done 2>/dev/null
  set -f
  [ -n "$HEARD" ]
}

make_folders() { mkdir -p "$ROOT/jobs" "$ROOT/live" "$STAGED" "$SESSION"; }

session() {
  LEAVING=
  boot_id
  SESSION=$ROOT/sessions/$$
  if ! { make_folders && mkfifo "$SESSION/ev"; } 2>/dev/null; then
    printf 'CQ1 fail cannot write to %s: %s\n' "$ROOT" "$(make_folders 2>&1 | cut -c 1-300)"
    exit 1
  fi
  start_of $$
  BEGAN=$START
  printf '%s\n' "$START" >"$SESSION/start"
  sweep_sessions
  home_id
  heard
  # Without setsid(1) (macOS) job control gives a background process a group of its own.
  [ -n "$SETSID" ] || set -m
  have_shims || write_shims
  exec 8<>"$SESSION/ev"
  mux </dev/null &
  MUX=$!
  guard </dev/null >/dev/null 2>&1 &
  GUARD=$!
  printf 'CQ1 ready %s %s %s\n' "$BOOT" "$CLUSTER_QUEUE_NODE" "$HOME_ID"
  # After a reboot nobody else would.
  kick
  trap 'end_session' HUP TERM INT PIPE
  while IFS= read -r line; do
    set -- $line
    id=$1
    case $2 in
      start) shift 2; do_start "$id" "$@" ;;
      stage) shift 2; do_stage "$id" "$@" ;;
      recall) shift 2; do_recall "$id" "$@" ;;
      rekey) shift 2; do_rekey "$id" "$@" ;;
      staged) do_staged "$id" ;;
      kick) kick; reply "= $id ok" ;;
      go) [ -p "$ROOT/jobs/$3/go" ] && printf 'go %s\n' "$4" 1<>"$ROOT/jobs/$3/go"; reply "= $id ok" ;;
      again) do_again "$id" "$3" "$4" ;;
      cancel) shift 2; do_cancel "$id" "$@" ;;
      query) shift 2; for uuid in "$@"; do tell_state "$uuid"; reply "+ $id $uuid $STATE"; done; reply "= $id ok" ;;
      follow) reply "F $3 $4 $5"; reply "= $id ok" ;;
      unfollow) reply "U $3"; reply "= $id ok" ;;
      told) shift 2; for uuid in "$@"; do told "$uuid"; done; reply "= $id ok" ;;
      limit) printf '%s .%30s\n' "$3" '' 1<>"$ROOT/limit"; reply "= $id ok" ;;
      sweep) $SETSID sh "$AGENT" sweep "$3" </dev/null >/dev/null 2>&1 8>&- & reply "= $id ok" ;;
      leave) LEAVING=1; reply "= $id ok" ;;
      forget) shift 2; for uuid in "$@"; do forget "$uuid"; done; reply "= $id ok" ;;
      has) shift 2; do_has "$id" "$@" ;;
      place) do_place "$id" "$3" "$4" & ;;
      probe) do_probe "$id" & ;;
      at_boot) do_at_boot "$id" "$3" & ;;
      ping) heard; reply "= $id ok" ;;
      own) do_own "$id" "$3" ;;
      *) reply "= $id err protocol unknown request $2" ;;
    esac
  done
  end_session
}

end_session() {
  trap '' HUP TERM INT PIPE
  # In one step, and before the mux stops reading: a push finds no FIFO, or one that is read.
  mv "$SESSION" "$ROOT/gone.$$"
  # A client that is gone may have left the mux in a write that never returns, and its FIFO full.
  reply Q &
  asker=$!
  (sleep 2; kill $MUX $asker) >/dev/null 2>&1 8>&- &
  killer=$!
  wait $MUX 2>/dev/null
  # Supervisors may wait until there is room for what they tell; each holds the FIFO open itself, so that none would fail.
  cat <&8 >/dev/null 2>&1 &
  drain=$!
  sleep 0.2 2>/dev/null || sleep 1
  # What was started since then ignores a TERM too.
  kill -KILL $killer $asker $GUARD $drain 2>/dev/null
  rm -rf "$ROOT/gone.$$"
  if [ -n "$LEAVING" ]; then clear_out; else
    # What waited for this client's word need not any more.
    kick
  fi
  exit 0
}

# Ends what is left of a session that was killed, and the session of a client that has stopped reading: then its mux waits to
# write, the FIFO fills up, and whoever has something to tell waits too. A line that finds no room for so long says that it has
# come to that.
guard() {
  while sleep "${CLUSTER_QUEUE_STALLED:-20}"; do
    # Killed, or its home removed: a mux never finds an end to what it reads.
    start_of $$ && [ "$START" = "$BEGAN" ] || { kill $MUX; return; }
    [ -d "$SESSION" ] || { kill $MUX $$; return; }
    rm -f "$SESSION/tick"
    (printf '.\n' >&8; true >"$SESSION/tick") &
    sleep "${CLUSTER_QUEUE_STALLED:-20}"
    [ -e "$SESSION/tick" ] || [ ! -d "$SESSION" ] || break
  done
  kill $MUX $$
  # The session may itself be about to write.
  exec cat <&8
}

# own ID OWNER: this client's earlier sessions end here first: what a broken connection still brings of a request must not
# come after what the client has learned since.
do_own() {
  printf '%s\n' "$2" >"$SESSION/owner"
  set +f
  for dir in "$ROOT"/sessions/*; do
    [ "$dir" != "$SESSION" ] && read -r owner <"$dir/owner" && [ "$owner" = "$2" ] || continue
    waits=0
    # It renames its folder away when it reads no more.
    while [ -d "$dir" ] && stop_session "$dir" && [ "$waits" -lt 50 ]; do
      sleep 0.02 || sleep 1
      waits=$((waits + 1))
    done
    [ "$waits" -lt 50 ] || kill -KILL "${dir##*/}"
  done 2>/dev/null
  set -f
  reply "= $1 ok"
}

# The client lives: what it decides is left to it, see client_here.
heard() {
  uptime_s
  printf '%s\n' "$NOW" >"$SESSION/heard"
}

sweep_sessions() {
  set +f
  for dir in "$ROOT"/sessions/*; do
    session_lives "$dir" || rm -rf "$dir"
  done
  set -f
}
