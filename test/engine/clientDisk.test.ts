import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Engine } from '../../src/engine';
import type { JobRecord } from '../../src/queue';
import { StoreWriteError } from '../../src/store';
import { numberedBytes, numberedLines, numberedSize } from '../support/numberedLog';
import { Cq } from '../cli/cq';
import { haveSshd } from '../support/sshd';
import { World } from '../support/world';

const LINES = 400_000;
const WHOLE = { from: 0, to: numberedSize(LINES) };

// 6 MB of log, and a disk of 2.
describe('the disk of the client', function () {
  if (!haveSshd || process.getuid?.() !== 0) return;
  this.timeout(90_000);
  let world: World;
  let mounted = '';
  const troubles: string[] = [];

  const mount = (folder: string): void => {
    mkdirSync(folder, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder]);
    mounted = folder;
  };
  const remount = (options: string): void => {
    execFileSync('mount', ['-o', `remount,${options}`, mounted]);
  };
  const open = async (): Promise<Engine> => {
    const engine = await world.open();
    engine.onTrouble(({ message }) => troubles.push(message));
    return engine;
  };
  beforeEach(async () => {
    world = new World();
    troubles.length = 0;
    await world.nodes.add('node-a');
    await world.nodes.add('node-b');
  });
  afterEach(async () => {
    await world.shut();
    if (mounted !== '') execFileSync('umount', ['-l', mounted]);
    mounted = '';
    await world.close();
  });

  /** Follows a job's log; `seen` is all that listeners were told, which must leave no gap. */
  const follow = (id: number): { readonly ended: Promise<void>; seen: Buffer; readonly file: string } => {
    const { mirror } = world.engine.log('c', id);
    const followed = {
      file: mirror.file,
      seen: Buffer.alloc(0),
      ended: new Promise<void>((resolve) => mirror.onEnd(resolve)),
    };
    mirror.onAppend(({ at, bytes }) => {
      assert.equal(at, followed.seen.length);
      followed.seen = Buffer.concat([followed.seen, bytes]);
    });
    return followed;
  };
  const told = async (pattern: RegExp): Promise<void> => {
    while (!troubles.some((words) => pattern.test(words)))
      await new Promise<void>((resolve) => {
        const stop = world.engine.onTrouble(() => {
          stop();
          resolve();
        });
      });
  };

  it('that is full holds up a log, says so once, and costs no line of it', async () => {
    mount(path.join(world.home, 'logs'));
    await open();
    await world.cluster('c', ['node-a']);
    let lost = false;
    world.engine.onDidChange(() => (lost ||= world.engine.view('c')?.nodes[0]?.link.state !== 'up'));
    const { id } = await world.submit('c', `run: ${numberedLines(0, LINES)}`);
    const log = follow(id);
    await told(/cannot write the log .*1-.*\.log: ENOSPC.*goes on/);
    assert.equal((await world.ended('c', id)).status, 'SUCCEEDED', 'the job itself is not held up');
    const small = await world.submit('c', 'run: sleep 2');
    await world.ended('c', small.id);
    assert.equal(troubles.length, 1, troubles.join('\n'));
    remount('size=50m');
    await log.ended;
    assert.equal(lost, false, 'the node was there all the time');
    assert.ok(log.seen.equals(numberedBytes(WHOLE)));
    assert.ok(readFileSync(log.file).equals(numberedBytes(WHOLE)));
  });

  it('that is full costs a log of several ranks no line either', async () => {
    mount(path.join(world.home, 'logs'));
    await open();
    await world.cluster('c', ['node-a', 'node-b']);
    const { id } = await world.submit('c', `num_nodes: 2\nrun: ${numberedLines(0, LINES / 2)}`);
    const log = follow(id);
    await told(/ENOSPC/);
    await world.ended('c', id);
    remount('size=50m');
    await log.ended;
    const text = readFileSync(log.file, 'utf8');
    assert.equal(log.seen.toString(), text);
    for (const prefix of ['(rank 0, node-a) ', '(rank 1, node-b) ']) {
      const own = text
        .split(/(?<=\n)/)
        .flatMap((line) => (line.startsWith(prefix) ? [line.slice(prefix.length)] : []));
      assert.equal(own.join(''), numberedBytes({ from: 0, to: numberedSize(LINES / 2) }).toString());
    }
  });

  it('that a log has filled has room for the queue again when it has for the log', async () => {
    mount(world.home);
    await open();
    await world.cluster('c', ['node-a']);
    const { id } = await world.submit('c', `run: ${numberedLines(0, LINES)}`);
    const log = follow(id);
    await told(/cannot write the log/);
    remount('size=50m');
    await log.ended;
    const record = await world.ended('c', id);
    assert.equal(record.status, 'SUCCEEDED');
    assert.ok(readFileSync(log.file).equals(numberedBytes(WHOLE)));
    const next = await world.submit('c', 'run: echo on');
    assert.equal((await world.ended('c', next.id)).status, 'SUCCEEDED');
    await world.shut();
    await open();
    assert.deepEqual(
      world.engine.jobs('c').map(({ record: { status } }: { record: JobRecord }) => status),
      ['SUCCEEDED', 'SUCCEEDED'],
    );
  });

  it('that is read-only says so in words, and costs nothing of what nodes have', async () => {
    mount(world.home);
    const go = path.join(world.nodes.dir, 'go');
    await open();
    await world.cluster('c', ['node-a']);
    const { id } = await world.submit(
      'c',
      `run: |\n  until [ -e ${go} ]; do sleep 0.05; done\n  echo first\n`,
    );
    await world.until(() => world.status('c', id) === 'RUNNING', 'it runs');
    await world.shut();
    remount('ro');
    writeFileSync(go, '');
    const words =
      /^(cq: )?[^ ]+ could not be written \(EROFS\): its file system is read-only.*CLUSTER_QUEUE_HOME\.$/m;
    await assert.rejects(world.open(), ({ message }: Error) => words.test(message));
    const cq = new Cq({ CLUSTER_QUEUE_HOME: world.home, CLUSTER_QUEUE_SSH_CONFIG: world.nodes.configFile });
    try {
      const { code, stdout, stderr } = await cq.run('exec', 'c', '--', 'echo', 'never');
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, words);
    } finally {
      await cq.close();
    }
    remount('rw');
    await open();
    assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
    assert.equal(await world.log('c', id), 'first\n');
    assert.equal(world.engine.jobs('c').length, 1);
  });

  it('that is full for a moment costs neither the end of a job nor a cancel', async () => {
    mount(world.home);
    const go = path.join(world.nodes.dir, 'go');
    await world.nodes.add('node-c', { gpus: { name: 'Tesla V100-SXM2-16GB', count: 1, memoryMiB: 16160 } });
    await open();
    await world.cluster('c', ['node-c']);
    const gpu = 'resources: {accelerators: V100}\n';
    const { id } = await world.submit('c', `${gpu}run: until [ -e ${go} ]; do sleep 0.05; done`);
    const held = await world.submit('c', `${gpu}run: touch ${go}.never`);
    await world.engine.reorder('c', held.id, { held: true });
    await world.until(
      () => world.status('c', id) === 'RUNNING' && world.engine.view('c')?.staged === 0,
      'one runs, and nobody has the other',
    );
    const filler = path.join(world.home, 'filler');
    assert.throws(() => execFileSync('dd', ['if=/dev/zero', `of=${filler}`], { stdio: 'ignore' }));
    // There is room left in the last page of the journal.
    const fill = async (): Promise<void> => {
      for (;;) await world.engine.reorder('c', held.id, { priority: 1 });
    };
    await assert.rejects(fill(), StoreWriteError);
    await assert.rejects(world.engine.cancel('c', [held.id]), StoreWriteError);
    writeFileSync(go, '');
    await world.until(() => world.engine.view('c')?.running === 0, 'the other has ended');
    await assert.rejects(world.engine.cancel('c', [held.id]), StoreWriteError);
    rmSync(filler);
    assert.equal((await world.ended('c', held.id)).status, 'CANCELLED');
    assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
    await world.shut();
    await open();
    assert.deepEqual(
      [id, held.id].map((each) => world.status('c', each)),
      ['SUCCEEDED', 'CANCELLED'],
    );
    assert.equal(existsSync(`${go}.never`), false);
  });
});
