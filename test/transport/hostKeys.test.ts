import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { haveSshd, type TestNode } from '../support/sshd';
import { person, Rig } from './rig';

describe('the host key of a node', function () {
  if (!haveSshd) return;
  this.timeout(30_000);
  const rig = new Rig();
  const { nodes } = rig;
  let node: TestNode;
  let number = 0;
  let second = '';
  before(async () => {
    second = rig.key('second_host_key', '-t', 'ecdsa', '-N', '');
    node = await nodes.add('node', { config: `HostKey ${second}` });
  });
  after(() => rig.close());

  /** A name whose known_hosts holds this text. */
  const host = (known: string, lines = ''): { name: string; file: string } => {
    number += 1;
    const file = path.join(nodes.dir, `known-${number}`);
    writeFileSync(file, known);
    nodes.configure(`Host known-${number}\n  ${rig.at(node)}\n  UserKnownHostsFile ${file}\n  ${lines}`);
    return { name: `known-${number}`, file };
  };
  const place = (): string => `[${node.address}]:${node.port}`;

  it('is known by a hashed name', async () => {
    const { name, file } = host(`${place()} ${rig.hostKey(node)}\n`);
    execFileSync('ssh-keygen', ['-q', '-H', '-f', file], { stdio: 'ignore' });
    assert.match(readFileSync(file, 'utf8'), /^\|1\|/);
    assert.equal(await rig.whoIs(name), 'node');
  });

  it('is refused when it is revoked', async () => {
    const key = rig.hostKey(node);
    const { name } = host(`@revoked * ${key}\n${place()} ${key}\n`);
    await assert.rejects(rig.connect(name), /marked @revoked/);
  });

  it('is looked up by its HostKeyAlias, without the port', async () => {
    const { name } = host(`the-alias ${rig.hostKey(node)}\n`, 'HostKeyAlias the-alias');
    assert.equal(await rig.whoIs(name), 'node');
    await assert.rejects(
      rig.connect(host(`${place()} ${rig.hostKey(node)}\n`, 'HostKeyAlias other').name),
      /is not in/,
    );
  });

  it('of the type that is known is asked for, though the host has another first', async () => {
    const ecdsa = readFileSync(`${second}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
    assert.equal(await rig.whoIs(host(`${place()} ${ecdsa}\n`).name), 'node');
    assert.equal(await rig.whoIs(host(`${place()} ${rig.hostKey(node)}\n`).name), 'node');
  });

  it('is asked for once by many connections, and then known, hashed when the config says so', async () => {
    const { name, file } = host('', 'StrictHostKeyChecking ask\n  HashKnownHosts yes');
    let asked = 0;
    const prompter = person({
      trustHost: (_node, type, print) => {
        asked += 1;
        assert.match(`${type} ${print}`, /^\S+ SHA256:\S{43}$/);
        return new Promise((resolve) => setTimeout(resolve, 300, true));
      },
    });
    await Promise.all([1, 2, 3].map(() => rig.whoIs(name, { prompter })));
    assert.equal(asked, 1);
    assert.match(readFileSync(file, 'utf8'), /^\|1\|\S+ \S+ \S+\n$/);
    assert.equal(await rig.whoIs(name), 'node');
    const found = execFileSync('ssh-keygen', ['-F', place(), '-f', file], { encoding: 'utf8' });
    assert.match(found, /found: line 1/);
  });

  it('is not trusted when the person declines', async () => {
    const { name, file } = host('', 'StrictHostKeyChecking ask');
    const prompter = person({ trustHost: () => Promise.resolve(false) });
    await assert.rejects(rig.connect(name, { prompter }), /host key of known-\d+ .* is not in/);
    assert.equal(readFileSync(file, 'utf8'), '');
  });

  it('that an authority vouches for is left to the system’s ssh', async () => {
    const authority = rig.key('host-authority', '-t', 'ed25519', '-N', '');
    const key = rig.key('certified_host_key', '-t', 'ed25519', '-N', '');
    execFileSync('ssh-keygen', ['-q', '-s', authority, '-I', 'host', '-h', `${key}.pub`]);
    const vouched = await nodes.add('vouched', { config: `HostKey ${key}\nHostCertificate ${key}-cert.pub` });
    const file = path.join(nodes.dir, 'known-authority');
    const line = readFileSync(`${authority}.pub`, 'utf8');
    writeFileSync(file, `@cert-authority * ${line}`);
    nodes.configure(`Host by-authority\n  ${rig.at(vouched)}\n  UserKnownHostsFile ${file}`);
    const transport = await rig.connect('by-authority');
    assert.equal(transport.kind, 'ssh');
    assert.equal(await rig.output(transport, 'printf %s "$CLUSTER_QUEUE_NODE_ID"'), 'vouched');
  });

  it('that an authority does not vouch for after all is asked for', async () => {
    const authority = rig.key('idle-authority', '-t', 'ed25519', '-N', '');
    const line = readFileSync(`${authority}.pub`, 'utf8');
    const { name, file } = host(`@cert-authority * ${line}`, 'StrictHostKeyChecking ask');
    const prompter = person({ trustHost: () => Promise.resolve(true) });
    assert.equal(await rig.whoIs(name, { prompter }), 'node');
    assert.ok(readFileSync(file, 'utf8').includes(place()));
  });

  it('of another type than all that are known has changed', async () => {
    const rsa = readFileSync(`${rig.key('an_rsa_key', '-t', 'rsa', '-N', '')}.pub`, 'utf8');
    for (const strict of ['accept-new', 'yes']) {
      const { name, file } = host(
        `${place()} ${rsa.split(' ').slice(0, 2).join(' ')}\n`,
        `StrictHostKeyChecking ${strict}`,
      );
      await assert.rejects(
        rig.connect(name),
        (error: Error) =>
          error.message.includes(`has changed: it was SHA256:`) && error.message.includes(`${file}:1`),
      );
      assert.equal(readFileSync(file, 'utf8').split('\n').length, 2);
    }
  });

  it('is written to no file where the config has none', async () => {
    number += 1;
    const everybodys = path.join(nodes.dir, 'global');
    nodes.configure(
      `Host known-${number}\n  ${rig.at(node)}\n  UserKnownHostsFile none\n  GlobalKnownHostsFile ${everybodys}\n  StrictHostKeyChecking accept-new`,
    );
    await assert.rejects(rig.connect(`known-${number}`), /is not in .*global/);
    assert.equal(existsSync(everybodys), false);
    writeFileSync(everybodys, `${place()} ${rig.hostKey(node)}\n`);
    assert.equal(await rig.whoIs(`known-${number}`), 'node');
  });

  it('is trusted though it cannot be written down', async () => {
    const folder = path.join(nodes.dir, 'is-a-folder');
    mkdirSync(folder);
    number += 1;
    nodes.configure(
      `Host known-${number}\n  ${rig.at(node)}\n  UserKnownHostsFile ${folder}\n  StrictHostKeyChecking accept-new`,
    );
    assert.equal(await rig.whoIs(`known-${number}`), 'node');
  });

  it('is refused when a file of revoked keys has it, or cannot be read', async () => {
    const revoked = path.join(nodes.dir, 'revoked');
    writeFileSync(revoked, `# lost\n${rig.hostKey(node)}\n`);
    const known = `${place()} ${rig.hostKey(node)}\n`;
    const { name } = host(known, `RevokedHostKeys ${revoked}`);
    await assert.rejects(rig.connect(name), /is in .*revoked \(RevokedHostKeys\); refused/);
    writeFileSync(revoked, '');
    assert.equal(await rig.whoIs(name), 'node');
    const krl = path.join(nodes.dir, 'krl');
    execFileSync('ssh-keygen', ['-q', '-k', '-f', krl, `${second}.pub`]);
    const transport = await rig.connect(host(known, `RevokedHostKeys ${krl}`).name);
    assert.equal(transport.kind, 'ssh');
    await assert.rejects(rig.connect(host(known, 'RevokedHostKeys /nowhere/at/all').name));
  });

  for (const how of ['by ssh -G', 'without OpenSSH'] as const) {
    describe(`with HostKeyAlgorithms, ${how},`, () => {
      const before = process.env.PATH;
      beforeEach(() => {
        if (how === 'without OpenSSH') process.env.PATH = nodes.dir;
      });
      afterEach(() => void (process.env.PATH = before));
      /** The type of the key that is written down for a host that nobody has met. */
      const met = async (algorithms: string): Promise<string | undefined> => {
        const lines = `StrictHostKeyChecking accept-new\n  HostKeyAlgorithms ${algorithms}`;
        const { name, file } = host('', lines);
        assert.equal(await rig.whoIs(name), 'node');
        return readFileSync(file, 'utf8').split(' ')[1];
      };
      const ecdsa = (): string => readFileSync(`${second}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');

      it('is asked for by these, in their order', async () => {
        const type = 'ecdsa-sha2-nistp256';
        for (const algorithms of [
          type,
          `${type},ssh-ed25519`,
          `^${type}`,
          '-ssh-ed25519',
          `sk-ssh-ed25519@openssh.com,${type}`,
          'ecdsa-*',
        ])
          assert.equal(await met(algorithms), type, algorithms);
        for (const algorithms of [`ssh-ed25519,${type}`, '^ssh-ed25519', `-${type}`, '+ssh-rsa'])
          assert.equal(await met(algorithms), 'ssh-ed25519', algorithms);
      });

      it('has changed for ssh where a key that is not known is preferred to the known one', async () => {
        const { name } = host(
          `${place()} ${rig.hostKey(node)}\n`,
          'HostKeyAlgorithms ecdsa-sha2-nistp256,ssh-ed25519',
        );
        await assert.rejects(rig.connect(name), /has changed/);
      });

      it('of the known type still comes first among what + and - leave', async () => {
        for (const algorithms of ['-ecdsa-sha2-nistp521', '+ssh-rsa'])
          assert.equal(
            await rig.whoIs(host(`${place()} ${ecdsa()}\n`, `HostKeyAlgorithms ${algorithms}`).name),
            'node',
          );
      });

      it('is refused, in words, when the host has none of them, or nobody knows them', async () => {
        const refused = (algorithms: string, words: RegExp): Promise<void> =>
          assert.rejects(
            rig.connect(host('', `HostKeyAlgorithms ${algorithms}`).name, { openSsh: 'absent' }),
            words,
          );
        await refused(
          'rsa-sha2-512',
          /has no host key of a kind that HostKeyAlgorithms of the ssh config allows/,
        );
        await refused(
          'sk-ssh-ed25519@openssh.com',
          /no algorithm that is known here|no matching host key type/,
        );
      });
    });
  }
});
