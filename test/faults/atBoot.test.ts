import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestNode } from '../support/sshd';
import { cronRuns, fakeCrontab, rebootLines, runAtBoot } from '../support/fakeCron';
import { haveSshd } from '../support/sshd';
import type { World } from '../support/world';
import { eachWorld } from './eachWorld';
import type { Ledger } from './ledger';
import { noneLeft, powerOff } from './processes';
import { pause, throwDice, times } from './scale';
import { balanced, stagedIn } from './stagedWorld';

const LINES = 5;
const GPUS = { name: 'Tesla V100-SXM2-16GB', count: 4 };

for (const [way, env] of [
  ['with perl', {}],
  ['without perl', { CLUSTER_QUEUE_RELAY: 'no' }],
] as const) {
  describe(`what is staged on nodes that are to resume it at boot, ${way}`, function () {
    if (!haveSshd) return;
    this.timeout(120_000);
    let world: World;
    let ledger: Ledger;
    eachWorld((...made) => ([world, ledger] = made));

    const task = (gpus: number, seconds: number): string =>
      ledger.task({ owner: 'c', gpus, lines: LINES, seconds });
    const isStaged = (id: number): boolean => /staged on/.test(world.engine.job('c', id).reason?.text ?? '');
    const table = (node: string): string => path.join(world.nodes.dir, node, 'table');
    const boot = (node: string): string => path.join(world.home, `boot-of-${node}`);
    const add = (name: string, home?: string): Promise<TestNode> => {
      writeFileSync(boot(name), 'boot-0\n');
      return world.nodes.add(name, {
        gpus: GPUS,
        tools: {
          crontab: fakeCrontab(path.join(world.nodes.dir, name, 'table')),
          // Nodes of a test are one machine; by this each knows itself, and cron's own PATH does not have it.
          uname: `[ "$*" != -n ] || { echo ${name}; exit; }; exec /bin/uname "$@"`,
        },
        env: { CLUSTER_QUEUE_BOOT_ID_FILE: boot(name), ...env },
        ...(home === undefined ? {} : { home }),
      });
    };
    const restart = async (node: TestNode, number: number): Promise<void> => {
      powerOff(path.join(world.nodes.dir, node.name), node.home);
      await node.stop();
      await noneLeft(node.home);
      rmSync(path.join(world.nodes.dir, node.name, 'leases'), { recursive: true, force: true });
      writeFileSync(boot(node.name), `boot-${number}\n`);
    };
    const until = async (met: () => boolean, what: string): Promise<void> => {
      const end = Date.now() + 60_000;
      while (!met()) {
        assert.ok(Date.now() < end, `waited until ${what}`);
        await pause(20);
      }
    };

    it('runs once after a reboot, with no client, and a client that returns finds what became of it', async () => {
      const dice = throwDice(`boots, ${way}`);
      const rounds = times('BOOTS', 1, 10);
      const node = await add('node-a');
      await world.open();
      await world.cluster('c', ['node-a']);
      assert.deepEqual(await world.engine.resumeAtBoot('c', true), [
        { node: 'node-a', way: cronRuns() ? 'cron' : 'idle' },
      ]);
      for (let round = 1; round <= rounds; round++) {
        const { id: runs } = await world.submit('c', task(4, 60));
        await world.until(() => world.status('c', runs) === 'RUNNING', 'the first runs');
        let last = 0;
        for (let i = 0; i < 8; i++) last = (await world.submit('c', task(dice.whole(1, 4), 0.05))).id;
        await world.until(() => isStaged(last), 'the last is staged');
        await world.shut();
        await restart(node, round);
        const before = ledger.runs().length;
        assert.equal(stagedIn(node.home).length, 8);
        // Cron, and whoever comes at the same moment.
        runAtBoot(table('node-a'));
        runAtBoot(table('node-a'));
        await until(
          () => ledger.runs().length === before + 8 && stagedIn(node.home).length === 0,
          'all that was staged has run',
        );
        await noneLeft(node.home);
        await node.start();
        await world.open();
        world.engine.connect('c');
        await world.until(() => !world.engine.busy, 'all is known');
        assert.match(
          world.engine.job('c', runs).record.message ?? '',
          /node-a was restarted while the job ran/,
        );
      }
      const { records } = await balanced(world, ledger, { cluster: 'c', homes: [node.home], lines: LINES });
      const lost = records.filter(({ status }) => status !== 'SUCCEEDED');
      assert.equal(lost.length, rounds);
      assert.ok(lost.every(({ status }) => status === 'LOST'));
      await world.engine.removeCluster('c');
      await until(() => !existsSync(path.join(node.home, '.cluster-queue')), 'the agent is gone');
      assert.deepEqual(rebootLines(table('node-a')), []);
    });

    it('is started by its own node alone where two have one home', async () => {
      const home = path.join(world.home, 'shared');
      mkdirSync(home);
      const [a, b] = [await add('node-a', home), await add('node-b', home)];
      await world.open();
      await world.cluster('c', ['node-a', 'node-b']);
      await world.engine.resumeAtBoot('c', true);
      for (const node of ['node-a', 'node-b']) {
        assert.equal(rebootLines(table(node)).length, 1);
        assert.match(readFileSync(table(node), 'utf8'), new RegExp(`/${node}/boot/run`));
      }
      const blockers = [await world.submit('c', task(4, 60)), await world.submit('c', task(4, 60))];
      for (const { id } of blockers)
        await world.until(() => world.status('c', id) === 'RUNNING', 'both nodes are taken');
      const { id: waits } = await world.submit('c', task(4, 0));
      await world.until(() => isStaged(waits), 'one waits');
      await world.shut();
      // Both go down, since they have one home, and one comes back.
      await restart(a, 1);
      await b.stop();
      writeFileSync(boot('node-b'), 'boot-1\n');
      // As a unit of systemd in the home that both have: of the other node it does nothing here.
      const script = path.join(home, '.cluster-queue', 'node-b', 'boot', 'run');
      const text = readFileSync(script, 'utf8');
      writeFileSync(
        script,
        text.replace(/PATH='[^:']*:/, `PATH='${path.join(world.nodes.dir, 'node-a', 'bin')}:`),
      );
      runAtBoot(table('node-b'));
      assert.equal(stagedIn(home).length, 1);
      writeFileSync(script, text);
      runAtBoot(table('node-b'));
      await until(
        () => ledger.runs().some(({ rank, end }) => rank === `c/${waits}/0` && end !== undefined),
        'it has run',
      );
      assert.equal(ledger.runs().find(({ rank }) => rank === `c/${waits}/0`)?.node, 'node-b');
      for (const node of [a, b]) await node.start();
      await world.open();
      world.engine.connect('c');
      await world.until(() => !world.engine.busy, 'all is known');
      assert.equal(world.status('c', waits), 'SUCCEEDED');
      assert.deepEqual(
        await world.engine.resumeAtBoot('c', false),
        ['node-a', 'node-b'].map((node) => ({ node, way: 'removed' })),
      );
      const way = cronRuns() ? 'cron' : 'idle';
      assert.deepEqual(
        await world.engine.resumeAtBoot('c', true),
        ['node-a', 'node-b'].map((node) => ({ node, way })),
      );
      await world.engine.changeNodes('c', { remove: ['node-b'] });
      assert.deepEqual(
        ['node-a', 'node-b'].map((node) => rebootLines(table(node)).length),
        [1, 0],
      );
    });

    it('says of each node what is there now, and why one cannot', async () => {
      await add('node-a');
      await world.nodes.add('node-b', {
        tools: {
          crontab: 'echo "not for you" >&2; exit 1',
          loginctl: 'echo "Access denied" >&2; exit 1',
          systemctl: 'exit 0',
        },
        env,
      });
      const gone = await world.nodes.add('node-c');
      await world.open();
      await world.cluster('c', ['node-a', 'node-b', 'node-c']);
      await gone.crash();
      const [a, b, c] = await world.engine.resumeAtBoot('c', true);
      assert.ok(a && 'way' in a && b && 'trouble' in b && c && 'trouble' in c);
      assert.match(b.trouble, /^its crontab cannot be read: not for you; systemd does not let .* linger/);
      assert.match(c.trouble, /node-c/);
      assert.deepEqual((await world.engine.resumeAtBoot('c', false)).slice(0, 2), [
        { node: 'node-a', way: 'removed' },
        { node: 'node-b', way: 'none' },
      ]);
    });
  });
}
