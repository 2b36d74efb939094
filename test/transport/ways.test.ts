import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { haveSshd, type TestNode } from '../support/sshd';
import { Rig } from './rig';

describe('the way to a node', function () {
  if (!haveSshd) return;
  this.timeout(30_000);
  const rig = new Rig();
  const { nodes } = rig;
  let target: TestNode;
  let second: TestNode;
  before(async () => {
    await nodes.add('first');
    second = await nodes.add('second');
    target = await nodes.add('target');
  });
  after(() => rig.close());

  it('goes through one jump host, and through a chain of two', async () => {
    const source = 'printf "%s %s" "$CLUSTER_QUEUE_NODE_ID" "${SSH_CONNECTION%% *}"';
    nodes.configure(`Host by-one\n  ${rig.at(target)}\n  ProxyJump first`);
    nodes.configure(
      `Host by-two\n  ${rig.at(target)}\n  ProxyJump first,root@${second.address}:${second.port}`,
    );
    nodes.configure(`Host second-by-first\n  ${rig.at(second)}\n  ProxyJump first`);
    nodes.configure(`Host by-both\n  ${rig.at(target)}\n  ProxyJump second-by-first`);
    for (const name of ['by-one', 'by-two', 'by-both']) {
      const transport = await rig.connect(name);
      assert.equal(transport.kind, 'ssh2');
      assert.match(await rig.output(transport, source), /^target 127\./);
      transport.close();
    }
  });

  it('begins at the BindAddress', async () => {
    nodes.configure(`Host bound\n  ${rig.at(target)}\n  BindAddress 127.77.0.9`);
    const transport = await rig.connect('bound');
    assert.equal(await rig.output(transport, 'printf %s "${SSH_CONNECTION%% *}"'), '127.77.0.9');
    transport.close();
  });

  it('names the jump host that fails, and the circle that has no end', async () => {
    nodes.configure(`Host by-nowhere\n  ${rig.at(target)}\n  ProxyJump root@127.0.0.1:1`);
    nodes.configure('Host beyond\n  HostName 127.0.0.1\n  Port 1\n  ProxyJump first');
    nodes.configure('Host ring-a\n  HostName 127.0.0.1\n  ProxyJump ring-b');
    nodes.configure('Host ring-b\n  HostName 127.0.0.1\n  ProxyJump ring-a');
    await assert.rejects(rig.connect('by-nowhere'), /127\.0\.0\.1:1.* refused the connection/);
    await assert.rejects(rig.connect('beyond'), /first cannot reach 127\.0\.0\.1:1/);
    await assert.rejects(rig.connect('ring-a'), /goes round in a circle/);
  });

  it('runs a ProxyCommand with its tokens, and reports what it said when it fails', async () => {
    nodes.configure(`Host by-command\n  ${rig.at(target)}\n  ProxyCommand nc %h %p`);
    nodes.configure('Host by-nothing\n  HostName 127.0.0.1\n  ProxyCommand echo "no VPN to %h" >&2; exit 1');
    assert.equal(await rig.whoIs('by-command'), 'target');
    await assert.rejects(rig.connect('by-nothing'), /by-nothing.*no VPN to 127\.0\.0\.1/);
  });

  it('follows Include and Match, by ssh -G and without OpenSSH', async () => {
    const included = path.join(nodes.dir, 'included.conf');
    writeFileSync(included, `Host in-include\n  ${rig.at(target)}\n\nHost other\n  Port 1\n`);
    nodes.configure(`Host *\n  Include ${path.join(nodes.dir, 'incl*.conf')}`);
    nodes.configure(`Match originalhost in-match\n  ${rig.at(target)}`);
    assert.equal(await rig.whoIs('in-include'), 'target');
    assert.equal(await rig.whoIs('in-match'), 'target');
    nodes.configure(`Match host plain-match\n  ${rig.at(target)}`);
    const before = process.env.PATH;
    process.env.PATH = nodes.dir;
    try {
      assert.equal(await rig.whoIs('in-include'), 'target');
      assert.equal(await rig.whoIs('plain-match'), 'target');
      assert.equal(await rig.whoIs('by-one'), 'target');
      assert.equal(await rig.whoIs(`root@${target.address}:${target.port}`), 'target');
    } finally {
      process.env.PATH = before;
    }
  });
});
