import assert from 'node:assert/strict';
import { Members, type Member } from './members';

const HANDOVER_MS = 1000;

/** The one of the others that took over, and how long that took. */
async function successor(others: readonly Member[], since: number): Promise<{ host: Member; ms: number }> {
  const hosts = await Promise.any(
    others.map(async (member) => {
      const state = await member.until('it hosts', (reports) =>
        reports.find((report) => report.kind === 'state' && report.role === 'host'),
      );
      return { host: member, ms: state.kind === 'state' ? state.at - since : 0 };
    }),
  );
  return hosts;
}

describe('when the process with the engine goes', function () {
  this.timeout(60_000);
  let members: Members;
  beforeEach(() => (members = new Members()));
  afterEach(() => members.close());

  for (const way of ['is killed', 'closes'] as const) {
    it(`${way}, another has it within a second, and nothing is lost or done twice`, async () => {
      const first = await members.open();
      await first.order({ do: 'local' });
      const others = await Promise.all([1, 2, 3].map(() => members.open()));
      const [asker] = others;
      assert.ok(asker);
      await asker.order({ do: 'submit', run: 'sleep 2; exit 7', gpus: 4 });
      await asker.sees('local/1', 'RUNNING');
      await asker.order({ do: 'submit', run: 'true', gpus: 4 });
      // Many under way at the moment of the end.
      const submits = Array.from({ length: 40 }, (_, i) =>
        (others[i % 3] ?? asker).order({ do: 'submit', run: 'true', gpus: 1, uuid: `0000-${i}` }),
      );
      await submits[0];
      const began = Date.now();
      const gone = way === 'is killed' ? first.kill() : first.leave();
      const { host, ms } = await successor(others, began);
      await gone;
      assert.ok(ms < HANDOVER_MS, `took ${ms} ms`);
      const ids = (await Promise.all(submits)) as number[];
      assert.deepEqual(
        [...ids].sort((a, b) => a - b),
        Array.from({ length: 40 }, (_, i) => i + 3),
      );
      assert.equal(others.filter(({ role }) => role === 'host').length, 1);
      for (const member of others) {
        await member.sees('local/1', 'FAILED');
        await member.sees('local/42', 'SUCCEEDED');
      }
      assert.equal(((await host.order({ do: 'list', limit: 100 })) as number[]).length, 42);
    });
  }

  it('goes on through one kill after another', async () => {
    let host = await members.open();
    await host.order({ do: 'local' });
    const waiting = await Promise.all(Array.from({ length: 6 }, () => members.open()));
    const last = waiting.at(-1);
    assert.ok(last);
    for (let round = 0; round < 5; round++) {
      const began = Date.now();
      const submitted: Promise<unknown> = last.order({ do: 'submit', run: 'true', gpus: 1 });
      await host.kill();
      const others = waiting.filter((member) => member !== host && member.alive);
      const { host: next, ms } = await successor(others, began);
      assert.ok(ms < HANDOVER_MS, `round ${round} took ${ms} ms`);
      assert.equal(await submitted, round + 1);
      if (next === last) break;
      host = next;
    }
    await last.sees('local/1', 'SUCCEEDED');
  });

  it('never has two engines in a hundred races to open it', async () => {
    const lines = await members.race(5, 25);
    let inside = '';
    let hosts = 0;
    for (const line of lines) {
      const [what, pid = ''] = line.split(' ');
      if (what === 'enter') {
        assert.equal(inside, '', `${pid} has an engine beside ${inside}`);
        inside = pid;
        hosts++;
      } else {
        assert.equal(pid, inside);
        inside = '';
      }
    }
    assert.ok(hosts > 20, `${hosts} hosts`);
  });

  it('has one engine when twenty start at once', async () => {
    const racers = Array.from({ length: 20 }, () => members.spawn());
    await Promise.all(racers.map(({ opened }) => opened));
    assert.equal(racers.filter(({ role }) => role === 'host').length, 1);
    // Some are killed and some leave, all at once: whoever takes over may go at that moment too.
    await Promise.all(racers.map((racer, index) => (index % 2 === 0 ? racer.kill() : racer.leave())));
  });

  it('adds and removes a cluster once though the answer was lost', async () => {
    const first = await members.open();
    const client = await members.open();
    await client.order({ do: 'add', name: 'one' });
    await assert.rejects(client.order({ do: 'add', name: 'one' }), /cluster-exists/);
    const add = client.order({ do: 'add', name: 'two' });
    const remove = client.order({ do: 'remove', name: 'one' });
    await first.kill();
    await Promise.all([add, remove]);
    await assert.rejects(client.order({ do: 'remove', name: 'one' }), /no-cluster: .*known: two/);
  });
});
