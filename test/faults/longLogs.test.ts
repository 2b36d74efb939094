import assert from 'node:assert/strict';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { numberedBytes, numberedLines, stretchesOf } from '../support/numberedLog';
import { haveSshd } from '../support/sshd';
import { World } from '../support/world';
import { FaultyProxy, type Fault } from './proxy';
import { long, pause, throwDice, times } from './scale';

const LIMIT = 8 << 20;
const KINDS: readonly Fault['kind'][] = ['drop', 'reset', 'stall', 'half-open', 'deaf'];

describe('a log that runs away', function () {
  if (!haveSshd) return;
  this.timeout(long ? 3_600_000 : 180_000);
  let world: World;
  let proxy: FaultyProxy | undefined;
  beforeEach(() => (world = new World()));
  afterEach(async () => {
    await world.close();
    await proxy?.close();
  });

  for (const perl of [true, false]) {
    it(`says of every byte whether it was dropped, wherever connections are cut meanwhile, on a node ${perl ? 'with' : 'without'} perl`, async () => {
      const dice = throwDice('a log that runs away');
      const wanted = times('LOG_CUTS', 6, 100);
      const env: Record<string, string> = perl ? {} : { CLUSTER_QUEUE_RELAY: 'no' };
      const node = await world.nodes.add('node-a', { env });
      const faulty = await FaultyProxy.before(node, 'behind', world.nodes);
      proxy = faulty;
      await world.open({ logs: { maxBytes: LIMIT } });
      await world.cluster('c', ['behind']);
      const enough = path.join(world.nodes.dir, 'enough');
      const lines = numberedLines('$((i * 20000))', '((i + 1) * 20000)');
      const run = `i=0; until [ -e ${enough} ]; do ${lines}; i=$((i + 1)); sleep 0.05; done`;
      const { id, uuid } = await world.submit('c', `run: ${run}`);
      const { mirror } = world.engine.log('c', id);
      const pieces: Buffer[] = [];
      let seen = 0;
      const complete = new Promise<void>((resolve, reject) => {
        mirror.onEnd(resolve);
        mirror.onTrouble(reject);
      });
      mirror.onAppend(({ at, bytes }) => {
        assert.equal(at, seen);
        seen += bytes.length;
        pieces.push(Buffer.from(bytes));
      });
      await world.until(() => world.status('c', id) === 'RUNNING', 'it runs');
      faulty.arm(() => ({
        kind: dice.pick(KINDS),
        after: dice.whole(5_000, dice.pick([20_000, 500_000, 4_000_000])),
        withinMs: dice.whole(500, 4_000),
        forMs: dice.whole(50, 1_500),
      }));
      while (faulty.broken < wanted) {
        await pause(200);
        // As the user's Refresh does: the pauses between attempts are not what is tested here.
        void world.engine.refresh('c');
      }
      // Long enough away to miss some of it for certain.
      faulty.freeze();
      await pause(4_000);
      faulty.plan = () => undefined;
      faulty.thaw();
      faulty.breakAll();
      void world.engine.refresh('c');
      await world.until(() => world.engine.view('c')?.nodes[0]?.link.state === 'up', 'it can be reached');
      writeFileSync(enough, '');
      const record = await world.ended('c', id, 60_000);
      assert.equal(record.status, 'SUCCEEDED', record.message);
      await complete;

      const jobs = path.join(node.home, '.cluster-queue', 'node-a', 'jobs', `${uuid}-0`);
      const parts = readdirSync(jobs).filter((name) => name.startsWith('run.log'));
      const kept = parts.reduce((sum, name) => sum + statSync(path.join(jobs, name)).size, 0);
      assert.ok(kept <= LIMIT, `${kept} bytes are kept`);
      const starts = parts.map((name) => Number(name.slice('run.log.'.length)));
      const end = Math.max(...starts) + statSync(path.join(jobs, `run.log.${Math.max(...starts)}`)).size;
      const stretches = stretchesOf(Buffer.concat(pieces).toString());
      assert.equal(stretches[0]?.from, 0);
      assert.equal(stretches[stretches.length - 1]?.to, end, 'to its last byte');
      assert.equal(numberedBytes({ from: end - 1, to: end }).toString(), '\n');
      const gone = stretches.reduce(
        (sum, { from }, index) => sum + from - (stretches[index - 1]?.to ?? 0),
        0,
      );
      console.log(
        `      ${(end / 1e6).toFixed(0)} MB written, ${faulty.broken} cuts, ${stretches.length - 1} gaps of ${(gone / 1e6).toFixed(0)} MB`,
      );
    });
  }
});
