import assert from 'node:assert/strict';
import { Answers, Questions, RemotePerson } from '../../src/control/questions';
import type { Given, Prompter } from '../../src/transport';

const textOf = async (given: Promise<Given | undefined>): Promise<string | undefined> => (await given)?.text;

/** Answers every question with its name; `gone`: its process ends instead. */
function person(name: string, gone = false): Prompter {
  const say = (): Promise<string> => (gone ? Promise.reject(new Error('gone')) : Promise.resolve(name));
  const give = async (): Promise<Given> => ({ text: await say() });
  return { passphrase: give, password: give, answer: say, trustHost: async () => (await say()) !== '' };
}

describe('a node’s question', () => {
  it('goes to the process that asked last', async () => {
    const questions = new Questions();
    const [first, second] = [person('first'), person('second')];
    questions.add(first);
    const remove = questions.add(second);
    assert.equal(await textOf(questions.passphrase('key', 'node')), 'second');
    questions.turnTo(first);
    assert.equal(await textOf(questions.password('user', 'node')), 'first');
    questions.turnTo(second);
    remove();
    assert.equal(await questions.answer('node', 'code?', false), 'first');
  });

  it('goes to another when that process ends before it answers, and to nobody when there is none', async () => {
    const questions = new Questions();
    questions.add(person('other'));
    questions.add(person('gone', true));
    assert.equal(await textOf(questions.passphrase('key', 'node')), 'other');
    assert.equal(await new Questions().passphrase('key', 'node'), undefined);
    assert.equal(await new Questions().trustHost('node', 'ssh-ed25519', 'SHA256:x'), false);
  });

  it('keeps its words over a connection', async () => {
    const asked: unknown[] = [];
    const there: Prompter = {
      passphrase: (...args) => Promise.resolve({ text: `pass ${args.join(' ')}` }),
      password: () => Promise.resolve(undefined),
      answer: (...args) => Promise.resolve(args.join(' ')),
      trustHost: (_node, _type, fingerprint) => Promise.resolve(fingerprint === 'good'),
    };
    const answers = new Answers(there);
    const here = new RemotePerson(
      (question) => {
        asked.push(question);
        return answers.answer(question);
      },
      (outcome) => answers.heard(outcome),
    );
    assert.equal(await textOf(here.passphrase('key', 'node')), 'pass key node');
    assert.equal(await here.password('user', 'node'), undefined);
    assert.equal(await here.answer('node', 'code?', true), 'node code? true');
    assert.equal(await here.trustHost('node', 'type', 'good'), true);
    assert.equal(await here.trustHost('node', 'type', 'bad'), false);
    assert.equal(asked.length, 5);
  });

  it('tells whoever answered what came of the answer, over a connection too, and nobody else', async () => {
    const heard: string[] = [];
    const keeping = (name: string): Prompter => ({
      ...person(name),
      password: (user) =>
        Promise.resolve({ text: name, used: (worked) => heard.push(`${name} ${user} ${String(worked)}`) }),
    });
    const answers = new Answers(keeping('far'));
    const far = new RemotePerson(
      (question) => answers.answer(question),
      (outcome) => answers.heard(outcome),
    );
    const questions = new Questions();
    questions.add(far);
    questions.add(keeping('near'));
    const near = await questions.password('one', 'node');
    questions.turnTo(far);
    const [second, third] = [
      await questions.password('two', 'node'),
      await questions.password('three', 'node'),
    ];
    third?.used?.(true);
    near?.used?.(true);
    second?.used?.(false);
    second?.used?.(true);
    assert.deepEqual(heard, ['far three true', 'near one true', 'far two false']);
    assert.deepEqual(
      await new Answers(undefined).answer({ kind: 'password', user: 'u', node: 'n', number: 1 }),
      {
        text: null,
      },
    );
  });
});
