import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { launch, nodesOf, openQueue, type Launched, type Queue } from '../../src/control';
import { endOf, wholeLog } from '../support/queues';
import { haveSshd, TestNodes } from '../support/sshd';
import { taskOf } from '../support/world';

for (const relay of [true, false]) {
  describe(`what a setup makes in its workdir${relay ? '' : ', on a node without perl'}`, function () {
    if (!haveSshd) return;
    this.timeout(60_000);
    const home = mkdtempSync(path.join(os.tmpdir(), 'cq-set-up-'));
    const project = path.join(home, 'project');
    const nodes = new TestNodes();
    let queue: Queue;

    const go = (yaml: string): Promise<Launched> =>
      launch(
        queue,
        { name: 'c', nodes: nodesOf(['node']), task: taskOf(yaml), user: 'me' },
        { say: () => undefined, signal: new AbortController().signal },
      );
    const lines = async (id: number): Promise<string[]> => {
      assert.equal((await endOf(queue, 'c', id)).status, 'SUCCEEDED', await wholeLog(queue, 'c', id));
      return (await wholeLog(queue, 'c', id)).trimEnd().split('\n');
    };
    const exec = async (run: string): Promise<string[]> => {
      const task = taskOf(`workdir: ${project}\nrun: |\n  ${run}\n`);
      return lines((await queue.submit(task, { cluster: 'c', user: 'me' })).id);
    };

    before(async () => {
      mkdirSync(path.join(project, 'pkg'), { recursive: true });
      mkdirSync(path.join(home, 'data'));
      writeFileSync(path.join(project, 'pkg', 'config'), 'as written\n');
      writeFileSync(path.join(home, 'data', 'set'), 'rows\n');
      await nodes.add('node', { env: relay ? {} : { CLUSTER_QUEUE_RELAY: 'no' } });
      queue = await openQueue({
        home: path.join(home, 'state'),
        version: 'test',
        sshConfigFile: nodes.configFile,
        graceS: 1,
      });
    });
    after(async () => {
      await queue.close();
      await nodes.close();
      rmSync(home, { recursive: true, force: true });
    });

    it('is in that of the task, with what it has changed, and so is a file_mount of the workdir', async () => {
      const { run } = await go(`workdir: ${project}
file_mounts: {./data/mine: ${home}/data}
setup: |
  mkdir -p .venv/bin results pkg/__pycache__
  echo "echo of \${PWD##*/}" >.venv/bin/tool
  echo built >pkg/built
  echo changed >pkg/config
  touch pkg/__pycache__/x
  cat data/mine/set
run: |
  bash .venv/bin/tool
  cat pkg/built pkg/config data/mine/set
  ls results pkg/__pycache__ 2>&1 | grep -c x
  [ -L results ] || echo results is its own
`);
      assert.deepEqual(await lines(run?.id ?? 0), [
        'of workdir',
        'built',
        'changed',
        'rows',
        '0',
        'results is its own',
      ]);
    });

    it('is in those of later jobs, which have their own code', async () => {
      writeFileSync(path.join(project, 'pkg', 'config'), 'edited\n');
      writeFileSync(path.join(project, 'pkg', 'built'), 'of the workdir\n');
      assert.deepEqual(await exec('bash .venv/bin/tool; cat pkg/built pkg/config'), [
        'of workdir',
        'of the workdir',
        'edited',
      ]);
    });

    it('is nobody’s when the setup failed', async () => {
      const { setup } = await go(`workdir: ${project}\nsetup: touch half-done; exit 3\n`);
      assert.equal((await endOf(queue, 'c', setup?.id ?? 0)).status, 'FAILED_SETUP');
      assert.deepEqual(await exec('ls -A'), ['.venv', 'data', 'pkg', 'results']);
    });
  });
}
