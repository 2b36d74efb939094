import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { kill, noneLeft, processes, supervisorOf } from '../faults/processes';
import { haveSshd, type TestNode } from '../support/sshd';
import { World } from '../support/world';

/**
 * A docker engine of which only what matters here is there: a container is a process that is nobody's child and knows
 * nothing of the environment it was started from; `ps` and `stop` find it by its label or id. A file is a container,
 * "PID NAME LABEL"; one that does not run has a pid that nobody has. A project of compose has one container.
 */
function fakeDocker(state: string): string {
  return `#!/bin/bash
state=${state}
name=none label=none detach= project= filter=
echo "\${0##*/} $*" >>"$state.all"
begin() { (env -i setsid sleep 300 </dev/null >/dev/null 2>&1 & echo "$! $2 $3" >"$state/$1"); }
runs() { kill -0 "$1" 2>/dev/null; }
# Sets id, pid and label of the container that is called so.
find_container() {
  for file in "$state"/*; do
    [ -e "$file" ] || return
    read -r pid name label <"$file"
    id=\${file##*/}
    [ "$name" != "$1" ] && [ "$id" != "$1" ] || return 0
  done
  return 1
}
make() {
  id=$$$RANDOM
  while [ $# -gt 0 ]; do
    case $1 in --label) label=$2; shift ;; --name) name=$2; shift ;; -d) detach=1 ;; esac
    shift
  done
}
case \${0##*/} in docker-compose) set -- compose "$@" ;; esac
[ "$1" != container ] || shift
case $1 in
  run)
    make "$@"
    begin "$id" "$name" "$label"
    echo "$id"
    [ -n "$detach" ] || while :; do sleep 1; done ;;
  create)
    make "$@"
    echo "999999999 $name $label" >"$state/$id" ;;
  start | restart)
    find_container "$2" || exit 1
    runs "$pid" || begin "$id" "$name" "$label" ;;
  inspect)
    find_container "$4" || exit 1
    runs "$pid" && echo "true $id" || echo "false $id" ;;
  compose)
    shift
    while :; do
      case $1 in -p) project=$2; shift 2 ;; -f) file=$2; shift 2 ;; --profile) shift 2 ;; *) break ;; esac
    done
    [ -n "$project" ] || project=$(sed -n 's/^name: //p' "\${file:-compose.yaml}")
    case $1 in
      config) [ -z "$project" ] || echo "name: $project" ;;
      up)
        # As compose itself does.
        [ -n "$project" ] || project=$(basename "$PWD" | tr A-Z a-z | sed 's/[^a-z0-9_-]//g; s/^[_-]*//')
        find_container "$project-1" && runs "$pid" ||
          begin $$ "$project-1" "com.docker.compose.project=$project"
        [ "$2" = -d ] || while :; do sleep 1; done ;;
    esac ;;
  ps)
    while [ $# -gt 0 ]; do
      case $1 in --filter) filter=$2; shift ;; esac
      shift
    done
    for file in "$state"/*; do
      [ -e "$file" ] || continue
      read -r pid name label <"$file"
      case $filter in "label=$label" | "id=\${file##*/}") ! runs "$pid" || basename "$file" ;; esac
    done ;;
  stop)
    echo "$*" >>"$state.calls"
    shift 3
    for id; do
      read -r pid name label <"$state/$id"
      kill "$pid"
    done ;;
esac
`;
}

for (const [way, env] of [
  ['perl', {}],
  ['sh', { CLUSTER_QUEUE_RELAY: 'no' }],
] as const)
  describe(`containers that a job started, by the agent in ${way}`, function () {
    if (!haveSshd) return;
    this.timeout(60_000);
    const world = new World();
    const state = path.join(world.home, 'docker');
    const bin = path.join(world.home, 'bin');
    let node: TestNode;
    before(async () => {
      mkdirSync(state);
      mkdirSync(bin);
      for (const name of ['docker', 'podman', 'docker-compose']) {
        writeFileSync(path.join(bin, name), fakeDocker(state), { mode: 0o755 });
      }
      node = await world.nodes.add('node-a', { bin, env, gpus: { name: 'Tesla V100', count: 1 } });
      await world.open();
      await world.cluster('c', ['node-a']);
    });
    afterEach(() => {
      for (const pid of containers()) kill(pid);
      for (const file of readdirSync(state)) rmSync(path.join(state, file));
    });
    after(() => world.close());

    const containers = (): number[] =>
      readdirSync(state)
        .map((name) => Number(readFileSync(path.join(state, name), 'utf8').split(' ')[0]))
        .filter((pid) => processes().some((found) => found.pid === pid));
    const submit = (run: string): Promise<{ id: number; uuid: string }> =>
      world.submit('c', `resources: {accelerators: "V100:1"}\nrun: |\n  ${run}\n`);
    const started = async (count: number): Promise<void> => {
      while (containers().length < count) await new Promise((resolve) => setTimeout(resolve, 20));
    };

    it('are stopped at its end, before its devices are anybody else’s', async () => {
      const { id, uuid } = await submit('docker run -d --gpus all image; podman run -d image');
      const next = await submit(
        `cat ${state}/* | while read -r pid _; do kill -0 "$pid" && exit 9; done; true`,
      );
      assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
      assert.deepEqual(containers(), []);
      assert.equal((await world.ended('c', next.id)).status, 'SUCCEEDED');
      assert.match(readFileSync(`${state}.calls`, 'utf8'), /^stop -t 1 \d+ \d+\n/);
      const { uuid: without } = world.engine.job('c', next.id).record;
      const folder = (of: string): string =>
        path.join(node.home, '.cluster-queue', 'node-a', 'jobs', `${of}-0`, 'containers');
      assert.ok(existsSync(folder(uuid)) && !existsSync(folder(without)), 'others pay nothing for it');
    });

    it('are stopped when it is cancelled, attached or not, and those of others are let alone', async () => {
      const other = await submit('docker run -d image; sleep 300');
      await started(1);
      const [first] = containers();
      const { id } = await world.submit('c', 'run: docker run -d image; docker run image');
      await started(3);
      void world.engine.cancel('c', [id]);
      assert.equal((await world.ended('c', id)).status, 'CANCELLED');
      assert.deepEqual(containers(), [first]);
      void world.engine.cancel('c', [other.id]);
      await world.ended('c', other.id);
      assert.deepEqual(containers(), []);
      await noneLeft(node.home);
    });

    it('are stopped when its supervisor was killed', async () => {
      const { id, uuid } = await submit('docker run -d image; sleep 300');
      await started(1);
      kill(supervisorOf(node.home, `${uuid}-0`));
      await world.engine.refresh('c');
      assert.equal((await world.ended('c', id)).status, 'FAILED');
      while (containers().length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    });

    const all = async (run: string): Promise<void> => {
      const { id } = await world.submit('c', `run: |\n  set -e\n${run.replaceAll(/^/gm, '  ')}\n`);
      assert.equal((await world.ended('c', id)).status, 'SUCCEEDED', await world.log('c', id));
    };
    /** As somebody does who is not in a job. */
    const outside = (...words: string[]): void =>
      void execFileSync(path.join(bin, words[0] ?? ''), words.slice(1), { cwd: node.home });

    it('are stopped when it made and then started them, also those that were there and stood still', async () => {
      outside('docker', 'create', '--name', 'old', 'image');
      outside('docker', 'run', '-d', '--name', 'runs', 'image');
      const [before] = containers();
      await all(`docker create --name mine image
docker start mine
docker container start old runs
podman restart runs
[ "$(cat ${state}/* | while read -r pid _; do ! kill -0 "$pid" 2>/dev/null || echo; done | wc -l)" = 3 ]`);
      assert.deepEqual(containers(), [before], 'what ran before goes on');
    });

    it('are stopped when compose started them, whatever it was told of the project', async () => {
      outside('docker', 'compose', '-p', 'others', 'up', '-d');
      const [before] = containers();
      await all(`mkdir -p ~/_My.Folder; cd ~/_My.Folder
echo services: >compose.yaml
docker compose up -d
echo "name: named" >named.yaml
docker compose -f named.yaml --profile x up -d
DOCKER_HOST=tcp://there docker compose -p given up -d
docker-compose -p standalone up -d
podman compose -p pod up -d
docker compose -p others up -d
[ "$(cat ${state}/* | grep -c compose)" = 6 ]`);
      assert.deepEqual(containers(), [before], 'what ran before goes on');
    });

    it('are stopped when a job with compose in the foreground is cancelled', async () => {
      const { id } = await world.submit('c', 'run: docker compose -p front up');
      await started(1);
      void world.engine.cancel('c', [id]);
      assert.equal((await world.ended('c', id)).status, 'CANCELLED');
      assert.deepEqual(containers(), []);
    });
  });
