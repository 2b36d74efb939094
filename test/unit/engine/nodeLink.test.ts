import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { mock } from 'node:test';
import { NodeLink, type LinkState } from '../../../src/engine/nodeLink';
import type { Transport } from '../../../src/transport';

/** As long as a link ever pauses, and more. */
const LONG_MS = 60_000;

describe('the link to a node', () => {
  let connects: number;
  let channel: { stdin: PassThrough; stdout: PassThrough; stderr: PassThrough; exit: Promise<never> };
  let link: NodeLink;
  let opened: () => Promise<void>;
  let heard: (state: LinkState) => void;
  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    connects = 0;
    opened = () => Promise.resolve();
    heard = () => undefined;
    const connect = (): Promise<Transport> => {
      connects++;
      const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
      channel = { stdin, stdout, stderr, exit: new Promise(() => undefined) };
      setImmediate(() => stdout.write('CQ1 ready boot node home\n'));
      const transport = { kind: 'ssh2', exec: () => Promise.resolve(channel), close: () => stdout.end() };
      return Promise.resolve(transport as unknown as Transport);
    };
    link = new NodeLink('n', 'owner', connect, {
      opened: () => opened(),
      event: () => undefined,
      canAsk: () => false,
      changed: (state) => heard(state),
    });
  });
  afterEach(() => {
    link.close();
    mock.timers.reset();
  });

  const until = (state: LinkState['state']): Promise<LinkState> =>
    new Promise((resolve) => {
      heard = (now) => {
        if (now.state === state) resolve(now);
      };
      if (link.state.state === state) resolve(link.state);
    });
  const turns = async (count = 20): Promise<void> => {
    for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  const unfit = (): Promise<void> => {
    link.fail('n has no bash');
    return Promise.reject(new Error('n has no bash'));
  };

  it('is made anew when it broke while those that were told of it did without an answer', async () => {
    opened = async () => {
      channel.stdout.end();
      await turns();
    };
    link.want();
    await until('down');
    opened = () => Promise.resolve();
    mock.timers.tick(LONG_MS);
    await until('up');
    assert.equal(connects, 2);
  });

  it('waits once, and as long as it says, for a node that turned out to be unfit', async () => {
    opened = unfit;
    const started = Date.now();
    link.want();
    const down = await until('down');
    await turns();
    assert.deepEqual(link.state, down);
    assert.ok(down.state === 'down' && down.retryAt !== undefined);
    assert.ok(down.retryAt - started >= 30_000);
    mock.timers.tick(29_999);
    await turns();
    assert.equal(connects, 1);
    mock.timers.tick(1);
    await turns();
    assert.equal(connects, 2);
  });

  it('connects no more when it is closed', async () => {
    opened = unfit;
    link.want();
    await until('down');
    await turns();
    link.close();
    link.fail('n has no bash');
    mock.timers.tick(LONG_MS);
    await turns();
    assert.equal(connects, 1);
  });
});
