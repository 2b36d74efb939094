import assert from 'node:assert/strict';
import path from 'node:path';
import { Engine } from '../../src/engine';
import { haveSshd } from '../support/sshd';
import { taskOf, World } from '../support/world';
import { Ledger } from './ledger';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { noneLeft } from './processes';
import { long, throwDice, times } from './scale';

const GPUS = { name: 'Tesla V100-SXM2-16GB', count: 4 };

describe('two queues on one node', function () {
  if (!haveSshd) return;
  this.timeout(long ? 3_600_000 : 120_000);
  const users = ['cq-test-one', 'cq-test-two'];
  let world: World;
  beforeEach(() => (world = new World()));
  afterEach(() => world.close());
  after(() => {
    for (const user of users) execFileSync('sh', ['-c', `userdel ${user} 2>/dev/null || true`]);
  });

  it('never have the same GPU at the same moment, by the clocks of the jobs', async () => {
    await world.nodes.add('node-a', { gpus: GPUS });
    await compete('two queues', ['node-a', 'node-a'], path.join(world.home, 'ledger'));
  });

  it('of two Unix users, each with a home and an sshd of their own, neither', async function () {
    // Only root may make users.
    if (process.getuid?.() !== 0) return this.skip();
    for (const user of users)
      execFileSync('sh', ['-c', `id ${user} >/dev/null 2>&1 || useradd -M -s /bin/bash ${user}`]);
    const shared = path.join(world.nodes.dir, 'shared');
    mkdirSync(shared);
    chmodSync(shared, 0o777);
    const file = path.join(shared, 'ledger');
    writeFileSync(file, '');
    chmodSync(file, 0o666);
    const names: string[] = [];
    for (const user of users) {
      const node = await world.nodes.add(`of-${user}`, { gpus: GPUS, user, machine: 'one-machine' });
      names.push(node.name);
    }
    await compete('two users', names, file);
  });

  async function compete(what: string, nodes: readonly string[], file: string): Promise<void> {
    const dice = throwDice(what);
    const count = times('JOBS', 15, 1_000);
    const ledger = new Ledger(file);
    const engines = await Promise.all(
      ['one', 'two'].map(async (owner, index) => {
        const node = nodes[index] ?? '';
        const engine = await Engine.open({
          home: path.join(world.home, owner),
          sshConfigFile: world.nodes.configFile,
          graceS: 1,
        });
        await engine.addCluster({ name: owner, nodes: [{ name: node, destination: node }] });
        return { owner, engine };
      }),
    );
    try {
      await Promise.all(
        engines.map(async ({ owner, engine }) => {
          for (let i = 0; i < count; i++) {
            const task = ledger.task({ owner, gpus: dice.whole(1, 3), lines: 1, seconds: 0.01 });
            await engine.submit(taskOf(task), { cluster: owner, user: owner });
          }
          await new Promise<void>((resolve) => {
            engine.onDidChange(() => !engine.busy && resolve());
            if (!engine.busy) resolve();
          });
        }),
      );
      for (const { owner, engine } of engines) {
        const records = engine.jobs(owner, 1_000_000).map(({ record }) => record);
        assert.ok(records.every(({ status }) => status === 'SUCCEEDED'));
        assert.equal(ledger.balance(owner, records).ran, count);
      }
      await noneLeft(world.nodes.dir);
      const order = ledger.runs().sort((a, b) => (a.start < b.start ? -1 : 1));
      const turns = order.filter(({ rank }, i) => rank.split('/')[0] !== order[i - 1]?.rank.split('/')[0]);
      console.log(`      ${order.length} jobs, ${turns.length} changes of owner, 0 overlaps`);
    } finally {
      for (const { engine } of engines) await engine.close();
    }
  }
});
