import assert from 'node:assert/strict';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { haveSshd, type TestNode } from '../support/sshd';
import type { ConnectError } from '../../src/transport';
import { person, Rig, typed } from './rig';

describe('keys of a login', function () {
  if (!haveSshd) return;
  this.timeout(30_000);
  const rig = new Rig();
  const { nodes } = rig;
  let node: TestNode;
  let other: TestNode;
  let number = 0;
  /** A name of the ssh config that logs in to the node with these lines. */
  const host = (lines: string, at = node): string => {
    number += 1;
    nodes.configure(`Host keys-${number}\n  ${rig.at(at)}\n  ${lines}`);
    return `keys-${number}`;
  };
  const asked: string[] = [];
  const typing = (...passphrases: (string | undefined)[]) =>
    person({
      passphrase: (file) => {
        asked.push(file);
        return Promise.resolve(typed(passphrases.shift()));
      },
    });
  before(async () => {
    node = await nodes.add('node');
    other = await nodes.add('other');
  });
  beforeEach(() => void (asked.length = 0));
  after(() => rig.close());

  for (const [type, ...more] of [['ed25519'], ['rsa', '-b', '2048'], ['ecdsa', '-b', '256']] as const) {
    for (const form of ['OpenSSH', 'PEM'] as const) {
      if (type === 'ed25519' && form === 'PEM') continue;
      for (const publicFile of ['with', 'without'] as const) {
        it(`opens an encrypted ${type} key in ${form} form ${publicFile} its .pub, asking once`, async () => {
          const pem = form === 'PEM' ? ['-m', 'PEM'] : [];
          const key = rig.key(`${type}-${form}-${publicFile}`, '-t', type, ...more, ...pem, '-N', 'right');
          rig.authorize(node, key);
          if (publicFile === 'without') rmSync(`${key}.pub`);
          const prompter = typing('wrong', 'right');
          const name = host(`IdentityFile ${key}`);
          assert.equal(await rig.whoIs(name, { prompter }), 'node');
          assert.equal(await rig.whoIs(name, { prompter }), 'node');
          assert.deepEqual(asked, [key, key]);
        });
      }
    }
  }

  it('asks one passphrase once for many hosts at once, and never for a key the node does not take', async () => {
    const key = rig.key('shared', '-t', 'ed25519', '-N', 'right');
    const foreign = rig.key('foreign', '-t', 'ed25519', '-N', 'right');
    rig.authorize(node, key);
    rig.authorize(other, key);
    const lines = `IdentityFile ${foreign}\n  IdentityFile ${key}`;
    const names = [host(lines), host(lines, other), host(lines), host(lines, other)];
    const prompter = typing('right');
    assert.deepEqual(await Promise.all(names.map((name) => rig.whoIs(name, { prompter }))), [
      'node',
      'other',
      'node',
      'other',
    ]);
    assert.deepEqual(asked, [key]);
  });

  it('ends in words when the passphrase is declined, wrong three times, or nobody is there', async () => {
    const key = rig.key('declined', '-t', 'ed25519', '-N', 'right');
    rig.authorize(node, key);
    const name = host(`IdentityFile ${key}`);
    await assert.rejects(
      rig.connect(name, { prompter: typing(undefined) }),
      /no passphrase was given for .*declined/,
    );
    await assert.rejects(
      rig.connect(name, { prompter: typing('a', 'b', 'c') }),
      /declined was wrong 3 times/,
    );
    await assert.rejects(rig.connect(name), (error: ConnectError) => {
      assert.match(
        error.message,
        /\S*declined has a passphrase, and nobody could be asked.*ssh-add \S*declined/,
      );
      return error.unasked && !error.transient;
    });
  });

  it('goes on with the next key after one whose passphrase is passed over, or wrong three times, as ssh does', async () => {
    const plain = rig.key('second', '-t', 'ed25519', '-N', '');
    for (const [form, ...pem] of [['OpenSSH'], ['PEM', '-m', 'PEM']]) {
      const locked = rig.key(`locked-${form}`, '-t', 'rsa', '-b', '2048', ...pem, '-N', 'right');
      rig.authorize(node, plain, locked);
      rmSync(`${locked}.pub`);
      const name = host(`IdentityFile ${locked}\n  IdentityFile ${plain}`);
      for (const typedWords of [[''], ['a', 'b', 'c']]) {
        asked.length = 0;
        assert.equal(await rig.whoIs(name, { prompter: typing(...typedWords) }), 'node');
        // What hides its public half is opened only when no other key has done.
        assert.equal(asked.length, form === 'PEM' ? 0 : typedWords.length);
      }
      const alone = host(`IdentityFile ${locked}`);
      await assert.rejects(
        rig.connect(alone, { prompter: typing('') }),
        /no passphrase was given for \S*locked/,
      );
    }
  });

  it('asks agent keys first, by SSH_AUTH_SOCK and by IdentityAgent; IdentityAgent none asks none', async () => {
    const key = rig.key('in-agent', '-t', 'ecdsa', '-N', '');
    const rsa = rig.key('in-agent-rsa', '-t', 'rsa', '-b', '2048', '-N', '');
    rig.authorize(node, key);
    rig.authorize(other, rsa);
    const socket = await rig.agent(key, rsa);
    for (const file of [key, rsa]) renameSync(file, `${file}.away`);
    const byOption = `IdentityAgent ${socket}\n  IdentitiesOnly no`;
    assert.equal(await rig.whoIs(host(byOption)), 'node');
    assert.equal(await rig.whoIs(host(byOption, other)), 'other');
    const before = process.env.SSH_AUTH_SOCK;
    process.env.SSH_AUTH_SOCK = socket;
    try {
      assert.equal(await rig.whoIs(host('IdentitiesOnly no')), 'node');
      await assert.rejects(rig.connect(host('IdentitiesOnly no\n  IdentityAgent none')), /refused to log in/);
    } finally {
      if (before === undefined) delete process.env.SSH_AUTH_SOCK;
      else process.env.SSH_AUTH_SOCK = before;
    }
  });

  it('with IdentitiesOnly uses only those agent keys that an IdentityFile names', async () => {
    const key = rig.key('only', '-t', 'ed25519', '-N', 'right');
    rig.authorize(node, key);
    writeFileSync(`${key}.plain`, readFileSync(key), { mode: 0o600 });
    const { execFileSync } = await import('node:child_process');
    execFileSync('ssh-keygen', ['-q', '-p', '-P', 'right', '-N', '', '-f', `${key}.plain`]);
    const socket = await rig.agent(`${key}.plain`);
    rmSync(`${key}.plain`);
    assert.ok(existsSync(key));
    assert.equal(await rig.whoIs(host(`IdentityAgent ${socket}\n  IdentityFile ${key}`)), 'node');
    await assert.rejects(rig.connect(host(`IdentityAgent ${socket}`)), /refused to log in/);
  });

  it('gives one key after another where sshd wants two', async () => {
    const keys = ['one', 'two'].map((name) => rig.key(`both-${name}`, '-t', 'ed25519', '-N', ''));
    const both = await nodes.add('both', { config: 'AuthenticationMethods publickey,publickey' });
    rig.authorize(both, ...keys);
    const lines = keys.map((key) => `IdentityFile ${key}`).join('\n  ');
    assert.equal(await rig.whoIs(host(lines, both)), 'both');
    await assert.rejects(rig.connect(host(`IdentityFile ${keys[0] ?? ''}`, both)), /refused to log in/);
  });

  it('goes on with files when the agent is gone', async () => {
    rig.authorize(node, nodes.userKey);
    assert.equal(await rig.whoIs(host(`IdentityAgent ${nodes.dir}/no-agent\n  IdentitiesOnly no`)), 'node');
  });

  it('uses the system’s ssh for a certificate, and says so', async () => {
    const authority = rig.key('authority', '-t', 'ed25519', '-N', '');
    const key = rig.key('certified', '-t', 'ed25519', '-N', '');
    const { execFileSync } = await import('node:child_process');
    execFileSync('ssh-keygen', ['-q', '-s', authority, '-I', 'me', '-n', 'root', `${key}.pub`]);
    const strict = await nodes.add('strict', { config: `TrustedUserCAKeys ${authority}.pub` });
    writeFileSync(rig.authorized(strict), '');
    const name = host(`IdentityFile ${key}`, strict);
    const transport = await rig.connect(name);
    assert.equal(transport.kind, 'ssh');
    assert.equal(await rig.output(transport, 'printf %s "$CLUSTER_QUEUE_NODE_ID"'), 'strict');
    const channel = await transport.exec('cat; echo err >&2; exit 7');
    let text = '';
    channel.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    channel.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
    channel.stdin.end('in\n');
    assert.deepEqual(await channel.exit, { code: 7 });
    assert.deepEqual(text.split('\n').sort(), ['', 'err', 'in']);
    const closed = new Promise<Error>((resolve) => (transport.onClose = resolve));
    const endless = await transport.exec('cat');
    endless.stdout.resume();
    transport.close();
    assert.match((await closed).message, /was closed/);
    await endless.exit;
    await assert.rejects(transport.exec('true'), /is closed/);
    nodes.configure(`Host behind\n  ${rig.at(other)}\n  ProxyJump ${name}`);
    rig.authorize(other, nodes.userKey);
    const behind = await rig.connect('behind');
    assert.equal(behind.kind, 'ssh');
    assert.equal(await rig.output(behind, 'printf %s "$CLUSTER_QUEUE_NODE_ID"'), 'other');
  });

  it('says so when the system’s ssh is refused as well', async () => {
    const authority = rig.key('unknown-authority', '-t', 'ed25519', '-N', '');
    const key = rig.key('not-certified', '-t', 'ed25519', '-N', '');
    const { execFileSync } = await import('node:child_process');
    execFileSync('ssh-keygen', ['-q', '-s', authority, '-I', 'me', '-n', 'root', `${key}.pub`]);
    writeFileSync(rig.authorized(node), '');
    await assert.rejects(
      rig.connect(host(`IdentityFile ${key}`)),
      /system's ssh cannot connect .*Permission denied/,
    );
  });
});
