# ---------------------------------------------------------------- what the node is and has

# A tool that hangs with its driver must not hold up all else.
limit_tools() {
  LIMIT=
  command -v timeout >/dev/null 2>&1 && LIMIT='timeout 20'
}

# Prints "LEASE PID" of what no queue of ours started; a colleague's job shows by its lease.
foreign_processes() {
  limit_tools
  {
    ! command -v nvidia-smi >/dev/null 2>&1 ||
      $LIMIT nvidia-smi --query-compute-apps=gpu_uuid,pid --format=csv,noheader,nounits | tr -s ', ' ' '
    [ ! -s "$ROOT/mig" ] || $LIMIT nvidia-smi | processes_on_slices
    [ ! -e "$ROOT/amd" ] || processes_by_kfd
  } 2>/dev/null |
    while read -r gpu pid; do
      # Not by grep alone: see `marked`.
      { tr '\000' '\n' <"/proc/$pid/environ"; } 2>/dev/null | grep -q '^CLUSTER_QUEUE_JOB=' || echo "$gpu $pid"
    done
}

# The same for MIG slices, from nvidia-smi's own tables on stdin, since its CSV knows whole GPUs only: one table has the
# slice for GPU, GI and CI, the other a process for these. Which slice has which lease, ROOT/mig has.
processes_on_slices() {
  awk '
    FNR == NR { lease[$1, $2] = $3; next }
    /^\| *MIG devices/ { table = "mig"; next }
    /^\| *Processes/ { table = "processes"; next }
    { gsub(/\|/, " ") }
    table == "mig" && $1 $2 $3 $4 ~ /^[0-9]+$/ { slice[$1, $2, $3] = $4 }
    table == "processes" && $1 $2 $3 $4 ~ /^[0-9]+$/ && (($1, $2, $3) in slice) {
      print lease[$1, slice[$1, $2, $3]], $4
    }' "$ROOT/mig" -
}

# The same for AMD, from where its tools have it too: a folder for each process that has opened the driver, and in it how
# much memory the process has on each GPU.
processes_by_kfd() {
  set +f
  for file in "$KFD"/proc/*/vram_*; do
    read -r bytes <"$file" && [ "$bytes" -gt 0 ] || continue
    pid=${file%/*}
    echo "AMD-${file##*/vram_} ${pid##*/}"
  done
  set -f
}

do_probe() {
  id=$1
  say() { reply "+ $id $1"; }
  say "host $(uname -n)"
  say "os $(uname -s) $(uname -m)"
  cpus=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
  say "cpus $cpus"
  if [ -r /proc/meminfo ]; then
    while read -r key kb _; do
      [ "$key" = MemTotal: ] && say "memory $((kb / 1024))" && break
    done </proc/meminfo
  else
    say "memory $(($(sysctl -n hw.memsize 2>/dev/null || echo 0) / 1048576))"
  fi
  say "disk $(df -Pk "$HOME" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }')"
  say "bash $(command -v bash || echo -)"
  say "flock $(command -v flock || echo -)"
  say "rsync $(command -v rsync || echo -)"
  home_id
  say "home $HOME_ID"
  set -- $SSH_CONNECTION
  say "ip ${3:-$( (hostname -I 2>/dev/null || echo 127.0.0.1) | awk '{ print $1 }')}"
  limit_tools
  if command -v nvidia-smi >/dev/null 2>&1; then
    # One that hangs is ended, and says nothing.
    { $LIMIT nvidia-smi --query-gpu=index,uuid,memory.total,memory.used,name --format=csv,noheader,nounits 2>"$SESSION/smi" ||
      echo "exit code $?"; } |
      while IFS= read -r row; do say "gpu $row"; done
    [ ! -s "$SESSION/smi" ] || { IFS= read -r words <"$SESSION/smi"; say "trouble nvidia-smi: $words"; }
    # Only the header tells the CUDA version; newer drivers call the two KMD and CUDA UMD.
    $LIMIT nvidia-smi >"$SESSION/smi" 2>/dev/null
    sed -n -e 's/.*\(Driver\|KMD\) Version: *\([0-9.]*\).*CUDA [UMD ]*Version: *\([0-9.]*\).*/driver \2 \3/p' "$SESSION/smi" |
      while IFS= read -r row; do say "$row"; done
    probe_mig
  fi
  probe_amd
  foreign_processes | while read -r gpu pid; do
    say "foreign $gpu $pid $(owner_of "/proc/$pid")"
  done
  held_by_others | while IFS= read -r row; do say "held $row"; done
  say "clock $(date +%s)"
  reply "= $id ok"
}

# Tells which GPUs are in MIG mode, and their slices; keeps "GPU SLICE LEASE" for foreign_processes.
probe_mig() {
  # An older driver knows no such field.
  if ! grep -q 'MIG devices' "$SESSION/smi"; then rm -f "$ROOT/mig"; return; fi
  {
    $LIMIT nvidia-smi --query-gpu=index,mig.mode.current --format=csv,noheader
    $LIMIT nvidia-smi -L
  } 2>/dev/null >"$SESSION/smi"
  while IFS= read -r row; do say "mig $row"; done <"$SESSION/smi"
  sed -n -e 's/^GPU \([0-9]*\):.*/\1/p' -e 's/^ .*Device *\([0-9]*\): (UUID: \([^)]*\)).*/ \1 \2/p' "$SESSION/smi" | tr / + |
    awk '/^[0-9]/ { gpu = $1; next } { print gpu, $1, $2 }' >"$ROOT/mig.$$" && mv "$ROOT/mig.$$" "$ROOT/mig"
}

# Tells of AMD's GPUs what a tool of ROCm does, or what it says instead; ROOT/amd says that there are some.
probe_amd() {
  tool=
  if command -v rocm-smi >/dev/null 2>&1; then
    $LIMIT rocm-smi --showproductname --showuniqueid --showmeminfo vram --csv 2>"$SESSION/said" >"$SESSION/smi"
    code=$?
    tool=rocm
  fi
  # The older tool is on its way out: there may be a stub in its place.
  if command -v amd-smi >/dev/null 2>&1 && { [ -z "$tool" ] || ! grep -qi '^card[0-9]' "$SESSION/smi"; }; then
    { $LIMIT amd-smi list --csv; $LIMIT amd-smi static --asic --vram --csv; } 2>"$SESSION/said" >"$SESSION/smi"
    code=$?
    tool=amd
  fi
  if [ -n "$tool" ] && grep -qi -e '^card[0-9]' -e '^[0-9][0-9]*,' "$SESSION/smi"; then
    true >"$ROOT/amd"
    while IFS= read -r row; do say "$tool $row"; done <"$SESSION/smi"
  else
    rm -f "$ROOT/amd"
    [ -z "$tool" ] || say "amdtrouble $tool-smi: $(words_of "$SESSION/said" "$SESSION/smi" "exit code $code")"
  fi
}

# What is wrong, from the first of these files that says anything, else DEFAULT: the first error of several (others are of CPUs
# and network cards), or the last line, which a traceback ends with.
words_of() {
  for file in "$1" "$2"; do
    words=$(tr -cd '[:print:]\n' <"$file" |
      awk '/^ERROR/ && error == "" { error = $0 } NF { last = $0 } END { print substr(error == "" ? last : error, 1, 300) }')
    [ -z "$words" ] || break
  done
  echo "${words:-$3}"
}
