import assert from 'node:assert/strict';
import path from 'node:path';
import { Engine } from '../../src/engine';
import { haveSshd } from '../support/sshd';
import { taskOf, World } from '../support/world';
import { Ledger } from './ledger';
import { noneLeft } from './processes';
import { long, throwDice, times } from './scale';

describe('two queues on one node', function () {
  if (!haveSshd) return;
  this.timeout(long ? 3_600_000 : 120_000);
  const world = new World();
  after(() => world.close());

  it('never have the same GPU at the same moment, by the clocks of the jobs', async () => {
    const dice = throwDice('two queues');
    const count = times('JOBS', 15, 1_000);
    const node = await world.nodes.add('node-a', { gpus: { name: 'Tesla V100-SXM2-16GB', count: 4 } });
    const ledger = new Ledger(path.join(world.home, 'ledger'));
    const engines = await Promise.all(
      ['one', 'two'].map(async (owner) => {
        const engine = await Engine.open({
          home: path.join(world.home, owner),
          sshConfigFile: world.nodes.configFile,
          graceS: 1,
        });
        await engine.addCluster({ name: owner, nodes: [{ name: 'node-a', destination: 'node-a' }] });
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
      await noneLeft(node.home);
      const order = ledger.runs().sort((a, b) => (a.start < b.start ? -1 : 1));
      const turns = order.filter(({ rank }, i) => rank.split('/')[0] !== order[i - 1]?.rank.split('/')[0]);
      console.log(`      ${order.length} jobs, ${turns.length} changes of owner, 0 overlaps`);
    } finally {
      for (const { engine } of engines) await engine.close();
    }
  });
});
