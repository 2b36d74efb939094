import assert from 'node:assert/strict';
import { answerWith, Questions, RemotePerson } from '../../src/control/questions';
import type { Prompter } from '../../src/transport';

/** Answers every question with its name; `gone`: its process ends instead. */
function person(name: string, gone = false): Prompter {
  const say = (): Promise<string> => (gone ? Promise.reject(new Error('gone')) : Promise.resolve(name));
  return { passphrase: say, password: say, answer: say, trustHost: async () => (await say()) !== '' };
}

describe('a node’s question', () => {
  it('goes to the process that asked last', async () => {
    const questions = new Questions();
    const [first, second] = [person('first'), person('second')];
    questions.add(first);
    const remove = questions.add(second);
    assert.equal(await questions.passphrase('key', 'node'), 'second');
    questions.turnTo(first);
    assert.equal(await questions.password('user', 'node'), 'first');
    questions.turnTo(second);
    remove();
    assert.equal(await questions.answer('node', 'code?', false), 'first');
  });

  it('goes to another when that process ends before it answers, and to nobody when there is none', async () => {
    const questions = new Questions();
    questions.add(person('other'));
    questions.add(person('gone', true));
    assert.equal(await questions.passphrase('key', 'node'), 'other');
    assert.equal(await new Questions().passphrase('key', 'node'), undefined);
    assert.equal(await new Questions().trustHost('node', 'ssh-ed25519', 'SHA256:x'), false);
  });

  it('keeps its words over a connection', async () => {
    const asked: unknown[] = [];
    const there: Prompter = {
      passphrase: (...args) => Promise.resolve(`pass ${args.join(' ')}`),
      password: () => Promise.resolve(undefined),
      answer: (...args) => Promise.resolve(args.join(' ')),
      trustHost: (_node, _type, fingerprint) => Promise.resolve(fingerprint === 'good'),
    };
    const here = new RemotePerson((question) => {
      asked.push(question);
      return answerWith(there, question);
    });
    assert.equal(await here.passphrase('key', 'node'), 'pass key node');
    assert.equal(await here.password('user', 'node'), undefined);
    assert.equal(await here.answer('node', 'code?', true), 'node code? true');
    assert.equal(await here.trustHost('node', 'type', 'good'), true);
    assert.equal(await here.trustHost('node', 'type', 'bad'), false);
    assert.equal(asked.length, 5);
  });
});
