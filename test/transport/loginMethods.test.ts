import assert from 'node:assert/strict';
import { readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import type { ConnectError, Prompter } from '../../src/transport';
import { passwordNode, type PasswordNode } from '../support/passwordNode';
import { haveSshd, type TestNode } from '../support/sshd';
import { person, Rig, typed } from './rig';

describe('the ways to log in that the ssh config allows', function () {
  if (!haveSshd) return;
  this.timeout(30_000);
  const rig = new Rig();
  const { nodes } = rig;
  let node: TestNode;
  let questions: PasswordNode;
  let number = 0;
  before(async () => {
    // All that the PATH of a machine without OpenSSH has here.
    symlinkSync('/bin/sh', path.join(nodes.dir, 'sh'));
    node = await nodes.add('node', { config: 'PasswordAuthentication yes\nLogLevel VERBOSE' });
    questions = await passwordNode(nodes, 'me', 'right', 'keyboard-interactive');
    rig.onClose(() => questions.close());
  });
  after(() => rig.close());

  /** A name of the ssh config that reaches the node with these lines. */
  const host = (lines: string, way = rig.at(node)): string => {
    number += 1;
    nodes.configure(`Host methods-${number}\n  ${way}\n  ${lines}`);
    return `methods-${number}`;
  };
  const asksInteractively = (lines: string): string =>
    host(lines, `HostName ${questions.address}\n  Port ${questions.port}\n  User me`);
  /** Somebody who counts the questions, and whose every password is this one. */
  const typing = (password: string): Prompter & { asked: number } => {
    const prompter = {
      ...person({
        password: () => {
          prompter.asked += 1;
          return Promise.resolve(typed(password));
        },
      }),
      asked: 0,
    };
    return prompter;
  };
  /** What sshd wrote of logins by this prompter. */
  const logged = (): string[] =>
    readFileSync(path.join(nodes.dir, 'node', 'sshd.log'), 'utf8')
      .split('\n')
      .flatMap(
        (line) => /^(Failed|Accepted) (publickey|password) for/.exec(line)?.slice(1, 3).join(' ') ?? [],
      );

  for (const how of ['by ssh -G', 'without OpenSSH'] as const) {
    describe(how, () => {
      const before = process.env.PATH;
      beforeEach(() => {
        if (how === 'without OpenSSH') process.env.PATH = nodes.dir;
      });
      afterEach(() => void (process.env.PATH = before));

      it('are not by key with PubkeyAuthentication no, in words', async () => {
        const name = host('PubkeyAuthentication no');
        const prompter = typing('wrong');
        await assert.rejects(
          rig.connect(name, { prompter }),
          /refused to log in .*tried: keyboard-interactive, password; identity files: not used, by PubkeyAuthentication/,
        );
        assert.equal(prompter.asked, 3);
      });

      it('are not by password with PasswordAuthentication no', async () => {
        const key = path.join(nodes.dir, 'nothing');
        const name = host(
          `IdentityFile ${key}\n  PreferredAuthentications password\n  PasswordAuthentication no`,
        );
        const prompter = typing('wrong');
        await assert.rejects(rig.connect(name, { prompter }), (error: ConnectError) => !error.unasked);
        assert.equal(prompter.asked, 0);
      });

      for (const option of ['KbdInteractiveAuthentication', 'ChallengeResponseAuthentication'])
        it(`are not by questions with ${option} no`, async () => {
          const asking = typing('right');
          assert.equal(await rig.whoIs(asksInteractively(''), { prompter: asking }), 'password-me');
          assert.equal(asking.asked, 1);
          const prompter = typing('right');
          await assert.rejects(rig.connect(asksInteractively(`${option} no`), { prompter }));
          assert.equal(prompter.asked, 0);
        });

      it('are tried in the order of PreferredAuthentications, and no others', async () => {
        const start = logged().length;
        const prompter = typing('wrong');
        const name = host('PreferredAuthentications password,publickey');
        assert.equal(await rig.whoIs(name, { prompter }), 'node');
        assert.equal(prompter.asked, 3);
        assert.deepEqual(logged().slice(start), [
          'Failed password',
          'Failed password',
          'Failed password',
          'Accepted publickey',
        ]);
        assert.equal(await rig.whoIs(name), 'node');
        const only = host('PreferredAuthentications publickey', rig.at(node));
        assert.equal(await rig.whoIs(only), 'node');
        await assert.rejects(rig.connect(host('PreferredAuthentications keyboard-interactive')));
      });
    });
  }
});
