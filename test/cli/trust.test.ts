import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { haveSshd, TestNodes } from '../support/sshd';
import { Cq } from './cq';

describe('the question of cq in a terminal about a host key', function () {
  if (!haveSshd || !existsSync('/usr/bin/script')) return;
  this.timeout(60_000);
  const nodes = new TestNodes();
  let cq: Cq;
  let fingerprint = '';
  before(async () => {
    const node = await nodes.add('node');
    const file = path.join(nodes.dir, 'node', 'host_key.pub');
    fingerprint = execFileSync('ssh-keygen', ['-lf', file], { encoding: 'utf8' }).split(' ')[1] ?? '';
    for (const name of ['by-print', 'by-another', 'by-words', 'by-no'])
      nodes.configure(
        `Host ${name}\n  HostName ${node.address}\n  Port ${node.port}\n  HostKeyAlias ${name}\n  UserKnownHostsFile ${nodes.dir}/${name}\n  StrictHostKeyChecking ask`,
      );
    cq = new Cq({ CLUSTER_QUEUE_SSH_CONFIG: nodes.configFile });
  });
  after(async () => {
    await cq.close();
    await nodes.close();
  });

  /** What the terminal shows while each question is answered by the next of these lines. */
  const answering = async (host: string, ...lines: string[]): Promise<string> => {
    const command = `'${process.execPath}' -- '${cq.program}' check ${host}`;
    const child = spawn('script', ['-qec', command, '/dev/null'], { env: cq.env, cwd: cq.dir });
    let shown = '';
    let read = 0;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
      const question = /(fingerprint\] |the fingerprint: )$/.exec(shown.slice(read));
      if (!question) return;
      read = shown.length;
      child.stdin.write(`${lines.shift() ?? 'no'}\r`);
    });
    await new Promise((resolve) => child.once('close', resolve));
    return shown;
  };
  const known = (host: string): boolean => existsSync(path.join(nodes.dir, host));

  it('takes the fingerprint for a yes', async () => {
    const shown = await answering('by-print', ` ${fingerprint} `);
    assert.equal(readFileSync(path.join(nodes.dir, 'by-print'), 'utf8').split(' ')[0], 'by-print', shown);
  });

  it('asks again after another fingerprint, and after any other word', async () => {
    const another = `${fingerprint.slice(0, -1)}${fingerprint.endsWith('A') ? 'B' : 'A'}`;
    const shown = await answering('by-another', another, 'no');
    assert.match(
      shown,
      /That is not the fingerprint of its key\. Please type yes, no or the fingerprint: no/,
    );
    assert.equal(known('by-another'), false);
    const words = await answering('by-words', 'sure', 'yes');
    assert.match(words, /sure\s+Please type yes, no or the fingerprint: yes/);
    assert.equal(known('by-words'), true);
  });

  it('takes an empty line for a no', async () => {
    const shown = await answering('by-no', '');
    assert.doesNotMatch(shown, /Please type/);
    assert.equal(known('by-no'), false);
  });
});
