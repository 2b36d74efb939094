import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { AgentSession } from '../../../src/node';

describe('a session with a node', () => {
  it('tells of an event when whoever waited for the answer before it has acted on that', async () => {
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
    const opening = AgentSession.open({ stdin, stdout, stderr });
    stdout.write('CQ1 ready boot node home\n');
    const session = await opening;
    const heard: string[] = [];
    session.onEvent = ({ kind, uuid }) => heard.push(`${kind} ${uuid}`);
    const asked = (async () => {
      const states = await session.query(['u-0']);
      // As far as it takes the engine, whose calls are several deep.
      for (let depth = 0; depth < 10; depth++) await Promise.resolve();
      heard.push(`${states.get('u-0')?.state ?? ''} u-0`);
    })();
    stdout.write('+ 1 u-0 running 0 1\n= 1 ok\nX u-0 0 0 exit 1\n= 2 ok\nX u-1 0 0 exit 1\n');
    await asked;
    while (heard.length < 3) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(heard, ['running u-0', 'ended u-0', 'ended u-1']);
    session.close();
  });
});
