# ---------------------------------------------------------------- what is asked for

case ${1-} in
  session) session ;;
  supervise) shift; supervise "$@" ;;
  claimed) shift; claimed "$@" ;;
  runner) runner ;;
  kill) shift; kill_job "$@" ;;
  killed) shift; boot_id; tell_killed "$@" ;;
  containers) shift; stop_containers "$@" ;;
  folders) SESSION=$CQ_SESSION; make_folders 2>&1 | head -n 1 | cut -c 1-300 ;;
  shims) write_shims ;;
  place) shift; do_place "$@" 8>&1 ;;
  probe) SESSION=$CQ_SESSION; boot_id; do_probe "$2" 8>&1 ;;
  at_boot) SESSION=$CQ_SESSION; do_at_boot "$2" "$3" 8>&1 ;;
  boot) boot "$2" ;;
  clear_out) clear_out ;;
  why_not) why_not "$2" ;;
  strangers) foreign_processes | while read -r gpu _; do printf ' %s' "$gpu"; done ;;
  carry) shift; carry "$@" ;;
  unpack) shift; unpack "$@" ;;
  sweep) sweep "$2" ;;
  give) give "$2" ;;
esac
exit
