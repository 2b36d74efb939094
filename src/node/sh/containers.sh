# ---------------------------------------------------------------- docker and podman inside a job
#
#   AGENT.bin/NAME/NAME   what a job has before the program NAME on its PATH, where there is that program
#   jobs/UUID/containers  what the job has started: "PROGRAM|DOCKER_HOST|DOCKER_CONTEXT|FILTER|ID ID …", by which program, for
#                         which engine, which containers those are (none: those with the job's label), and which of them not,
#                         because they ran before

# Stops the containers that job $1 (directory) has started and that outlived it, with up to $2 seconds of grace.
stop_containers() {
  [ -s "$1/containers" ] || return 0
  limit=
  command -v timeout >/dev/null 2>&1 && limit="timeout $(($2 + 30))"
  # Those of one engine at once, since each may take its grace; the last line is for the end of the last.
  { sort -u "$1/containers"; echo; } | {
    engine= ids=
    while IFS='|' read -r program host context filter others; do
      if [ "$program|$host|$context" != "$engine" ]; then
        [ -z "$ids" ] || stop_all "$2" $ids
        engine="$program|$host|$context" ids= tool=$program
        export DOCKER_HOST="$host" DOCKER_CONTEXT="$context"
        [ -n "$host" ] || unset DOCKER_HOST
        [ -n "$context" ] || unset DOCKER_CONTEXT
      fi
      [ -n "$program" ] || continue
      for id in $($limit "$program" ps -q --no-trunc --filter "${filter:-label=cluster-queue.job=${1##*/}}" </dev/null 2>/dev/null); do
        case " $others $ids " in *" $id "*) ;; *) ids="$ids $id" ;; esac
      done
    done
  }
}

# stop_all GRACE ID …: by $tool
stop_all() {
  grace=$1
  shift
  $limit "$tool" stop -t "$grace" "$@" </dev/null >/dev/null 2>&1 ||
    $limit "$tool" kill "$@" </dev/null >/dev/null 2>&1
}

have_shims() { [ -e "${AGENT%.sh}.bin/podman/podman" ]; }

write_shims() {
  BIN=${AGENT%.sh}.bin
  # The last is the one by which they are known to be there.
  for name in docker-compose docker podman; do
    mkdir -p "$BIN/$name" || return
    cat >"$BIN/$name/$name.$$" <<'SHIM'
#!/bin/sh
# Gives `docker run --gpus all` inside a job the job's devices only, and sees to it that what a job starts is known as its, to
# be stopped at its end: `run` and `create` by a label, `compose` by its project, `start` by the container. All else passes
# through untouched.
set -f
name=${0##*/}
here=${0%/*}

# Sets found to the program $1 on the PATH that is none of these.
find_real() {
  found=
  IFS=:
  for dir in $PATH; do
    case $dir in "${here%/*}"/*) continue ;; esac
    [ "$dir" -ef "$here" ] 2>/dev/null && continue
    [ -x "$dir/$1" ] && [ ! -d "$dir/$1" ] && found=$dir/$1 && break
  done
  unset IFS
  [ -n "$found" ]
}

find_real "$name" || { echo "$name: command not found" >&2; exit 127; }
real=$found engine=$found state=global
# Compose alone talks to an engine that another program has to be asked about.
[ "$name" != docker-compose ] || { state=compose; find_real docker || find_real podman; engine=$found; }
host=$DOCKER_HOST context=$DOCKER_CONTEXT file= folder= project=

# Asks the engine that the program will turn to.
ask() { DOCKER_HOST=$host DOCKER_CONTEXT=$context "$@" </dev/null 2>/dev/null; }

# Notes for the job's end: see containers.sh.
note() { printf '%s|%s|%s%s\n' "$engine" "$host" "$context" "$1" >>"$CQ_JOB_DIR/containers"; }

# Notes the project of a compose command, given its words before the subcommand: as it calls it itself, or would by the
# folder. What ran before the job's first command of that project is not the job's.
note_project() {
  [ -n "$project" ] ||
    project=$(ask "$real" "$@" config | sed -n "s/^name: *[\"']\{0,1\}\([a-zA-Z0-9_-]*\).*/\1/p" | head -n 1)
  if [ -z "$project" ]; then
    [ -n "$file" ] || file=${COMPOSE_FILE%%:*}
    case $file in */*) [ -n "$folder" ] || folder=${file%/*}/ ;; esac
    project=${COMPOSE_PROJECT_NAME:-$(cd "${folder:-.}" 2>/dev/null && pwd)}
  fi
  project=$(printf %s "${project##*/}" | tr A-Z a-z | tr -cd a-z0-9_- | sed 's/^[_-]*//')
  [ -n "$project" ] || return
  filter=label=com.docker.compose.project=$project
  grep -qsF "$engine|$host|$context|$filter|" "$CQ_JOB_DIR/containers" && return
  # Rather leave some running than stop a stranger's.
  before=$(ask "$engine" ps -q --no-trunc --filter "$filter") && note "|$filter|$(echo $before)"
}

# Notes a container that is to be started, unless it runs already.
note_start() {
  known=$(ask "$engine" container inspect -f '{{.State.Running}} {{.Id}}' "$1")
  case $known in 'false '*) note "|id=${known#* }|" ;; esac
}

# $state: where we are in the line — global options, those of compose, of run or create, or past all that matters.
take=
left=$#
while [ "$left" -gt 0 ]; do
  arg=$1
  shift
  left=$((left - 1))
  if [ -n "$take" ]; then
    case $take in
      gpus)
        [ "$arg" != all ] || arg=${CQ_DEVICES:+"\"device=$CQ_DEVICES\""}
        take=
        [ -z "$arg" ] || set -- "$@" --gpus "$arg"
        continue ;;
      host) host=$arg context= ;;
      context) context=$arg host= ;;
      file) [ -n "$file" ] || file=$arg ;;
      folder) folder=$arg ;;
      project) project=$arg ;;
    esac
    take=
    set -- "$@" "$arg"
    continue
  fi
  case $state:$arg in
    global:run | global:create)
      state=options
      [ -z "$CLUSTER_QUEUE_JOB" ] || {
        set -- "$@" "$arg" --label "cluster-queue.job=$CLUSTER_QUEUE_JOB"
        note ''
        continue
      } ;;
    global:container) ;;
    global:start | global:restart) state=start ;;
    global:compose) state=compose ;;
    global:-H | global:--host | compose:-H | compose:--host) take=host ;;
    global:-c | global:--context | compose:-c | compose:--context) take=context ;;
    global:--host=* | compose:--host=*) host=${arg#*=} context= ;;
    global:--context=* | compose:--context=*) context=${arg#*=} host= ;;
    global:-l | global:--config | *:--log-level | *:--tlscacert | *:--tlscert | *:--tlskey | \
      global:--root | global:--connection | global:--url | global:--identity) take=value ;;
    global:-*) ;;
    global:*) state=other ;;
    start:-*) ;;
    start:*) [ -z "$CLUSTER_QUEUE_JOB" ] || note_start "$arg" ;;
    compose:-f | compose:--file) take=file ;;
    compose:-p | compose:--project-name) take=project ;;
    compose:--project-directory) take=folder ;;
    compose:--file=*) [ -n "$file" ] || file=${arg#*=} ;;
    compose:--project-name=*) project=${arg#*=} ;;
    compose:--project-directory=*) folder=${arg#*=} ;;
    compose:--profile | compose:--env-file | compose:--ansi | compose:--parallel | compose:--progress | \
      compose:--podman-path | compose:--podman-args | compose:--podman-*-args | compose:--pod-args) take=value ;;
    compose:-f?*) [ -n "$file" ] || file=${arg#-f} ;;
    compose:-p?*) project=${arg#-p} ;;
    compose:-*) ;;
    compose:up | compose:create | compose:start | compose:restart | compose:run | compose:scale | compose:watch)
      state=other
      # Its words so far are behind those that are left.
      [ -z "$CLUSTER_QUEUE_JOB" ] || [ -z "$engine" ] || (shift "$left"; note_project "$@") ;;
    compose:*) state=other ;;
    options:--gpus=all)
      [ -z "$CQ_DEVICES" ] || set -- "$@" "--gpus=\"device=$CQ_DEVICES\""
      continue ;;
    options:--gpus) take=gpus; continue ;;
    options:--detach | options:--interactive | options:--tty | options:--rm | options:--privileged | options:--init | \
      options:--read-only | options:--no-healthcheck | options:--oom-kill-disable | options:--publish-all | \
      options:--quiet | options:--disable-content-trust | options:--replace | options:--no-hosts | options:--rmi | \
      options:--env-host | options:--http-proxy | options:--sig-proxy | options:--tls-verify | options:--help) ;;
    options:--*=*) ;;
    options:--*) take=value ;;
    options:-[!-]*)
      # A cluster of short flags; a letter that takes a value takes the rest of the word or the next word.
      rest=${arg#-}
      while [ -n "$rest" ]; do
        letter=${rest%"${rest#?}"}
        rest=${rest#?}
        case $letter in
          [ditPqhT]) ;;
          *) [ -n "$rest" ] || take=value; break ;;
        esac
      done ;;
    options:*) state=other ;;
  esac
  set -- "$@" "$arg"
done
[ "$take" = gpus ] && set -- "$@" --gpus
exec "$real" "$@"
SHIM
    chmod 700 "$BIN/$name/$name.$$" && mv "$BIN/$name/$name.$$" "$BIN/$name/$name"
  done
}
