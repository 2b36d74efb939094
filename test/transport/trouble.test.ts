import assert from 'node:assert/strict';
import net from 'node:net';
import { haveSshd, type TestNode } from '../support/sshd';
import { Rig } from './rig';

describe('a connection in trouble', function () {
  if (!haveSshd) return;
  this.timeout(30_000);
  const rig = new Rig();
  const { nodes } = rig;
  let node: TestNode;
  before(async () => {
    node = await nodes.add('node', { config: 'MaxSessions 1\nRekeyLimit 100K' });
  });
  after(() => rig.close());

  it('times out in words when the host accepts and never speaks', async () => {
    const port = await rig.server(() => undefined);
    nodes.configure(`Host silent\n  HostName 127.0.0.1\n  Port ${port}\n  ConnectTimeout 1`);
    const start = Date.now();
    await assert.rejects(rig.connect('silent'), /accepted the connection but did not finish .* in 1 s/);
    assert.ok(Date.now() - start < 5000);
  });

  it('says that the other side hung up in the handshake', async () => {
    const early = await rig.server((socket) => socket.destroy());
    const late = await rig.server((socket) => {
      socket.write('SSH-2.0-test\r\n');
      socket.once('data', () => setTimeout(() => socket.destroy(), 50));
    });
    for (const port of [early, late]) {
      nodes.configure(`Host hangs-up-${port}\n  HostName 127.0.0.1\n  Port ${port}`);
      await assert.rejects(rig.connect(`hangs-up-${port}`), /closed the connection during the SSH handshake/);
    }
  });

  it('names MaxStartups when sshd turns it away, and that is worth another try', async () => {
    const busy = await nodes.add('busy', { config: 'MaxStartups 1:100:1' });
    // The one place may still be that of the probe that waited for the port.
    const occupy = async (): Promise<net.Socket> => {
      const socket = net.connect(busy.port, busy.address);
      const greeting = await new Promise<string>((resolve) =>
        socket.once('data', (data) => resolve(String(data))),
      );
      if (greeting.startsWith('SSH-')) return socket;
      socket.destroy();
      return occupy();
    };
    const idle = await occupy();
    await assert.rejects(rig.connect('busy'), (error: Error) => {
      assert.match(error.message, /MaxStartups/);
      return 'transient' in error && error.transient === true;
    });
    idle.destroy();
  });

  it('never has so many logins at one host that sshd turns some away, here forty nodes behind one jump host', async () => {
    const jump = await nodes.add('jump', { config: 'MaxStartups 10:100:10' });
    const target = await nodes.add('target', { config: 'MaxStartups 200' });
    nodes.configure(`Host behind\n  ${rig.at(target)}\n  ProxyJump jump`);
    assert.ok(jump.port > 0);
    const transports = await Promise.all(Array.from({ length: 40 }, () => rig.connect('behind')));
    // Those whose turn had not come.
    const late = AbortSignal.timeout(1);
    const { SshTransport } = await import('../../src/transport');
    const context = { configFile: nodes.configFile, prompter: undefined };
    const given = Array.from({ length: 20 }, () => SshTransport.connect('jump', context, late));
    for (const { status } of await Promise.allSettled(given)) assert.equal(status, 'rejected');
    transports.push(await rig.connect('jump'));
    for (const transport of transports) transport.close();
  });

  it('is given up at once when its caller ends it', async () => {
    const port = await rig.server(() => undefined);
    nodes.configure(`Host endless\n  HostName 127.0.0.1\n  Port ${port}`);
    const { SshTransport } = await import('../../src/transport');
    const context = { configFile: nodes.configFile, prompter: undefined };
    await assert.rejects(SshTransport.connect('endless', context, AbortSignal.timeout(300)), /given up/);
    await assert.rejects(SshTransport.connect('endless', context, AbortSignal.abort()), /given up/);
  });

  it('has as many sessions as are asked for, whatever MaxSessions says', async () => {
    const transport = await rig.connect('node');
    const channels = await Promise.all(['a', 'b', 'c'].map((name) => transport.exec(`echo ${name}; cat`)));
    for (const channel of channels) channel.stdout.resume().on('error', () => undefined);
    for (const channel of channels) channel.stdin.end();
    const ends = await Promise.all(channels.map(({ exit }) => exit));
    assert.deepEqual(ends, [{ code: 0 }, { code: 0 }, { code: 0 }]);
    transport.close();
  });

  it('lives on through new keys long after its connect timeout', async () => {
    nodes.configure(
      `Host rekeys\n  ${rig.at(node)}\n  HostKeyAlias rekeys\n  ConnectTimeout 1\n  StrictHostKeyChecking accept-new`,
    );
    const transport = await rig.connect('rekeys');
    let closed = '';
    transport.onClose = (reason) => (closed = reason.message);
    const text = await rig.output(transport, 'head -c 400000 /dev/zero | tr "\\0" x; sleep 1.8; echo end');
    assert.equal(closed, '');
    assert.equal(text.length, 400_004);
    transport.close();
  });

  it('notices that the other side went silent', async () => {
    let silent = false;
    const port = await rig.server((socket) => {
      const behind = net.connect(node.port, node.address);
      behind.on('error', () => undefined);
      socket.on('data', (data) => silent || behind.write(data));
      behind.on('data', (data) => silent || socket.write(data));
      socket.on('close', () => behind.destroy());
    });
    nodes.configure(
      `Host half-open\n  HostName 127.0.0.1\n  Port ${port}\n  HostKeyAlias half-open\n  StrictHostKeyChecking accept-new`,
    );
    const transport = await rig.connect('half-open', {
      life: { now: Date.now, tickMs: 50, silentMs: 600, answerMs: 300 },
    });
    const closed = new Promise<Error>((resolve) => (transport.onClose = resolve));
    const channel = await transport.exec('cat');
    channel.stdout.resume();
    const start = Date.now();
    silent = true;
    assert.match(
      (await closed).message,
      /^the connection to half-open broke: nothing was heard of it for 1 s$/,
    );
    assert.ok(Date.now() - start < 3000);
    await channel.exit;
  });

  it('leaves no timer, socket or process behind when it fails or closes', async () => {
    const held = (): string[] =>
      process
        .getActiveResourcesInfo()
        .filter((kind) => /TCPSocketWrap|Process|Timeout/.test(kind))
        .sort();
    // Mocha sets its own timer once a test has returned its promise.
    await new Promise((resolve) => setImmediate(resolve));
    const before = held();
    nodes.configure('Host gone\n  HostName 127.0.0.1\n  Port 1\n  ProxyJump node');
    await assert.rejects(rig.connect('gone'));
    await rig.whoIs('node');
    for (let i = 0; i < 50 && held().length > before.length; i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(held(), before);
  });
});
