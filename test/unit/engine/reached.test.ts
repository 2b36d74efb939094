import assert from 'node:assert/strict';
import { Emitter } from '../../../src/engine/emitter';
import type { LinkState } from '../../../src/engine/nodeLink';
import { reached, type Reachable } from '../../../src/engine/reached';
import type { AgentSession } from '../../../src/node';

describe('a node that is to be talked to', () => {
  let link: LinkState;
  let session: AgentSession | undefined;
  let wanted: (boolean | undefined)[];
  let changes: Emitter<undefined>;
  let cluster: Reachable;
  beforeEach(() => {
    link = { state: 'connecting' };
    session = undefined;
    wanted = [];
    changes = new Emitter();
    cluster = {
      want: (now) => wanted.push(now),
      session: () => session,
      linkState: () => link,
    };
  });
  const anySession = {} as unknown as AgentSession;

  it('is reached at once when it is connected', async () => {
    session = anySession;
    await reached(cluster, 'a', changes.on);
    assert.deepEqual(wanted, [true], 'and is wanted all the same');
    assert.equal(changes.used, false);
  });

  it('is waited for until it is connected', async () => {
    const done = reached(cluster, 'a', changes.on, new AbortController().signal);
    changes.fire(undefined);
    assert.equal(changes.used, true);
    session = anySession;
    changes.fire(undefined);
    assert.equal(changes.used, false);
    await done;
  });

  it('says why it cannot be reached', async () => {
    const done = reached(cluster, 'a', changes.on);
    link = { state: 'down', message: 'no route' };
    changes.fire(undefined);
    await assert.rejects(done, { code: 'outputs', message: 'a cannot be reached: no route' });
    assert.equal(changes.used, false);
  });

  it('is given up when nobody wants it any more', async () => {
    const abort = new AbortController();
    const done = reached(cluster, 'a', changes.on, abort.signal);
    abort.abort();
    await assert.rejects(done, /given up/);
    await assert.rejects(reached(cluster, 'a', changes.on, abort.signal), /given up/);
    assert.equal(changes.used, false);
  });
});
