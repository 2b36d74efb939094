import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { AgentSession, SESSION_COMMAND } from '../../src/node';
import { SshTransport } from '../../src/transport';
import { haveSshd, TestNodes } from '../support/sshd';

describe('a session over real SSH', function () {
  if (!haveSshd) return;
  let nodes: TestNodes;
  before(async () => {
    nodes = new TestNodes();
    await nodes.add('node-a', { gpus: { name: 'Tesla V100-SXM2-32GB', count: 4 } });
  });
  after(() => nodes.close());

  it('runs a job, streams its log and tells its end', async () => {
    const t0 = performance.now();
    const transport = await SshTransport.connect('node-a', { configFile: nodes.configFile, prompter: undefined });
    console.log('connect', performance.now() - t0);
    const session = await AgentSession.open(await transport.exec(SESSION_COMMAND));
    console.log('session', performance.now() - t0);
    const uuid = randomUUID();
    const ended = new Promise((resolve) => (session.onEvent = (event) => { if (event.kind === 'ended') resolve(event); }));
    const t1 = performance.now();
    await session.start({ uuid, leases: [], graceS: 5, hold: false, env: '', run: 'echo "$HOME"; exit 7' });
    console.log('started', performance.now() - t1);
    let text = '';
    await new Promise<void>((resolve) => session.follow(uuid, 0, { data: (_offset, bytes) => { console.log('byte', performance.now() - t1); text += bytes.toString(); }, end: () => resolve() }));
    console.log('log end', performance.now() - t1);
    assert.deepEqual(await ended, { kind: 'ended', uuid, code: 7, age: 0, how: 'exit' });
    console.log('ended', performance.now() - t1);
    assert.match(text, /node-a\/home\n$/);
    const facts = await session.probe();
    assert.equal(facts.gpus.length, 4);
    console.log(facts);
    session.close();
    transport.close();
  });
});
