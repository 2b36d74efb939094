import assert from 'node:assert/strict';
import { SecretKeeper, type KeepAnswer, type SecretName } from '../../../src/window/secretKeeper';
import { keptIn } from '../../support/kept';

const PASSWORD: SecretName = { kind: 'password', user: 'me', node: 'box' };
const PASSPHRASE: SecretName = { kind: 'passphrase', file: '/keys/id' };

/** A person who types and answers what a test says, in a window of their own; `kept` outlives it. */
function windowOn(kept = keptIn()) {
  const typing: (string | undefined)[] = [];
  const answers: (KeepAnswer | Promise<KeepAnswer>)[] = [];
  const asked: string[] = [];
  const offered: string[] = [];
  const failures: unknown[] = [];
  const keeper = new SecretKeeper(kept.secrets, kept.memory, {
    ask: (name, node, refused) => {
      asked.push(`${name.kind} ${node}${refused ? ' refused' : ''}`);
      return Promise.resolve(typing.shift());
    },
    offer: (name) => {
      offered.push(name.kind);
      return Promise.resolve(answers.shift());
    },
    failed: (error) => failures.push(error),
  });
  return { keeper, typing, answers, asked, offered, failures, kept };
}

/** What was begun by `used` is done when a later request is answered. */
const settled = async (window: ReturnType<typeof windowOn>): Promise<void> => {
  await new Promise((resolve) => setImmediate(resolve));
  window.typing.unshift(undefined);
  await window.keeper.give({ kind: 'passphrase', file: 'another' }, 'any');
  window.asked.pop();
};

describe('passphrases and passwords', () => {
  it('are kept after they worked and the person agreed, and then given without a question', async () => {
    const first = windowOn();
    first.typing.push('secret');
    first.answers.push('keep');
    const given = await first.keeper.give(PASSWORD, 'box');
    assert.equal(given?.text, 'secret');
    assert.deepEqual(first.offered, [], 'not before it worked');
    given.used?.(true);
    await settled(first);
    const later = windowOn(first.kept);
    const again = await later.keeper.give(PASSWORD, 'box');
    assert.equal(again?.text, 'secret');
    again.used?.(true);
    await settled(later);
    assert.deepEqual([later.asked, later.offered], [[], []]);
    later.typing.push('other');
    assert.equal((await later.keeper.give({ ...PASSWORD, user: 'you' }, 'box'))?.text, 'other');
    assert.deepEqual(first.kept.plain(), [], 'nothing of it in the clear');
  });

  it('are not offered to be kept when they did not work', async () => {
    const window = windowOn();
    window.typing.push('wrong', undefined);
    (await window.keeper.give(PASSWORD, 'box'))?.used?.(false);
    assert.equal(await window.keeper.give(PASSWORD, 'box'), undefined);
    assert.deepEqual([window.offered, window.asked], [[], ['password box', 'password box']]);
  });

  it('are forgotten when a kept one is refused, asked for anew, and can be kept again', async () => {
    const window = windowOn(keptIn({ 'password me@box': 'old', 'passphrase /keys/id': 'stays' }));
    window.typing.push('new');
    window.answers.push('keep');
    const old = await window.keeper.give(PASSWORD, 'box');
    assert.equal(old?.text, 'old');
    old.used?.(false);
    const fresh = await window.keeper.give(PASSWORD, 'box');
    assert.equal(fresh?.text, 'new');
    assert.deepEqual(window.asked, ['password box refused']);
    assert.deepEqual(window.kept.all(), { 'passphrase /keys/id': 'stays' });
    fresh.used?.(true);
    await settled(window);
    assert.deepEqual(window.kept.all(), { 'passphrase /keys/id': 'stays', 'password me@box': 'new' });
    // A connection that had the old one hears late that it was wrong.
    old.used?.(false);
    assert.equal((await window.keeper.give(PASSWORD, 'box'))?.text, 'new');
  });

  it('are offered once in a window, never again after Never, and anew after all is forgotten', async () => {
    const window = windowOn();
    window.answers.push('no');
    for (let i = 0; i < 2; i++) {
      window.typing.push('secret');
      (await window.keeper.give(PASSPHRASE, 'box'))?.used?.(true);
      await settled(window);
    }
    assert.deepEqual(window.offered, ['passphrase']);
    const second = windowOn(window.kept);
    second.answers.push('never');
    second.typing.push('secret');
    (await second.keeper.give(PASSPHRASE, 'box'))?.used?.(true);
    await settled(second);
    const third = windowOn(window.kept);
    third.typing.push('secret', 'secret');
    (await third.keeper.give(PASSPHRASE, 'box'))?.used?.(true);
    await settled(third);
    assert.deepEqual([second.offered, third.offered, window.kept.all()], [['passphrase'], [], {}]);
    assert.equal(await third.keeper.forgetAll(), 0);
    (await third.keeper.give(PASSPHRASE, 'box'))?.used?.(true);
    assert.deepEqual(third.offered, ['passphrase']);
  });

  it('are all forgotten at the command, which says how many', async () => {
    const window = windowOn(keptIn({ 'password me@box': 'one', 'passphrase /keys/id': 'two' }));
    assert.equal(await window.keeper.forgetAll(), 2);
    assert.equal(await window.keeper.forgetAll(), 0);
    window.typing.push('typed');
    assert.equal((await window.keeper.give(PASSWORD, 'box'))?.text, 'typed');
  });

  it('are asked for where the secret storage does not answer, which is said when one was to be kept', async () => {
    const locked = keptIn();
    locked.secrets.get = () => Promise.reject(new Error('locked'));
    const window = windowOn(locked);
    window.typing.push('typed');
    window.answers.push('keep');
    const given = await window.keeper.give(PASSWORD, 'box');
    assert.equal(given?.text, 'typed');
    given.used?.(true);
    await settled(window);
    assert.match(String(window.failures[0]), /locked/);
    const torn = windowOn(keptIn('{not JSON'));
    torn.typing.push('typed');
    assert.equal((await torn.keeper.give(PASSWORD, 'box'))?.text, 'typed');
  });
});
