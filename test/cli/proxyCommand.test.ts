import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { haveSshd, TestNodes } from '../support/sshd';
import { Cq } from './cq';

describe('two nodes behind an ssh as ProxyCommand that asks on the terminal', function () {
  if (!haveSshd || !existsSync('/usr/bin/script')) return;
  this.timeout(60_000);
  const nodes = new TestNodes();
  let cq: Cq;
  before(async () => {
    const jump = await nodes.add('jump', { config: 'LogLevel VERBOSE' });
    const key = path.join(nodes.dir, 'locked_key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'the passphrase', '-f', key]);
    writeFileSync(path.join(nodes.dir, 'jump', 'authorized_keys'), readFileSync(`${key}.pub`));
    const options = `-F none -o UserKnownHostsFile=${nodes.knownHosts} -o IdentitiesOnly=yes -p ${jump.port}`;
    for (const name of ['one', 'two']) {
      const node = await nodes.add(name);
      for (const [way, identity] of [
        ['asking', key],
        ['refused', nodes.userKey],
      ])
        nodes.configure(
          `Host ${way}-${name}\n  HostName ${node.address}\n  Port ${node.port}\n  ProxyCommand ssh ${options} -i ${identity ?? ''} -W %h:%p root@${jump.address}`,
        );
    }
    cq = new Cq({ CLUSTER_QUEUE_SSH_CONFIG: nodes.configFile, SSH_AUTH_SOCK: '', NO_COLOR: '1' });
  });
  after(async () => {
    await cq.close();
    await nodes.close();
  });

  /** What the terminal shows of `cq check` while each question is answered, a moment after it is put. */
  const check = async (...hosts: string[]): Promise<string> => {
    const command = `'${process.execPath}' -- '${cq.program}' check ${hosts.join(' ')}`;
    const child = spawn('script', ['-qec', command, '/dev/null'], { env: cq.env, cwd: cq.dir });
    let shown = '';
    let asked = 0;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
      const questions = shown.match(/Enter passphrase for key \S+: /g) ?? [];
      if (questions.length === asked) return;
      asked = questions.length;
      // Long enough for the other to ask too, if it did.
      setTimeout(() => child.stdin.write('the passphrase\r'), 1500);
    });
    await new Promise((resolve) => child.once('close', resolve));
    return shown;
  };

  it('is asked for one passphrase after the other, and none is shown', async () => {
    const shown = await check('asking-one', 'asking-two');
    assert.equal(shown.match(/Enter passphrase/g)?.length, 2, shown);
    assert.match(shown, /\bok\s+asking-one/);
    assert.match(shown, /\bok\s+asking-two/);
    assert.doesNotMatch(shown, /the passphrase/);
  });

  it('says what the command said where no answer helps', async () => {
    const shown = await check('refused-one');
    assert.match(shown, /refused-one.*the ProxyCommand said: .*Permission denied/s);
  });
});
