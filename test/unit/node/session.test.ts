import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { AgentSession, SessionClosedError } from '../../../src/node';

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

  it('sends what is asked for in one turn as one message, in order, also just before it is closed', async () => {
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
    const opening = AgentSession.open({ stdin, stdout, stderr });
    stdout.write('CQ1 ready boot node home\n');
    const session = await opening;
    stdin.read();
    const messages: string[] = [];
    stdin.on('data', (bytes: Buffer) => messages.push(bytes.toString()));
    const kicked = session.kick();
    const told = session.told(['u-0']);
    await once(stdin, 'data');
    stdout.write('= 1 ok\n= 2 ok\n');
    await Promise.all([kicked, told]);
    assert.deepEqual(messages, ['1 kick\n2 told u-0\n']);
    const left = session.leave();
    session.close();
    await assert.rejects(left, SessionClosedError);
    await once(stdin, 'end');
    assert.deepEqual(messages.slice(1), ['3 leave\n']);
  });

  it('is not waited for without end, and says what may be wrong with the shell there', async () => {
    const channel = () => ({
      stdin: new PassThrough(),
      stdout: new PassThrough(),
      stderr: new PassThrough(),
    });
    await assert.rejects(
      AgentSession.open(channel(), undefined, 20),
      /no shell began within 0\.02 s: .*~\/\.bashrc/,
    );
    const ended = channel();
    const opening = AgentSession.open(ended);
    ended.stdout.end();
    ended.stdout.resume();
    await assert.rejects(opening, /closed the session before it began; .*exit and exec in ~\/\.bashrc/);
  });

  it('lets all else have its turn when a node has many answers', async () => {
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
    const opening = AgentSession.open({ stdin, stdout, stderr });
    stdout.write('CQ1 ready boot node home\n');
    const session = await opening;
    const answers = Array.from({ length: 100 }, () => session.ping());
    let turns = 0;
    let over = false;
    const turn = (): void => {
      turns += 1;
      if (!over) setImmediate(turn);
    };
    turn();
    stdout.write(answers.map((_, index) => `= ${index + 1} ok\n`).join(''));
    await Promise.all(answers);
    over = true;
    assert.ok(turns > 4, `${turns} turns`);
    session.close();
  });
});
