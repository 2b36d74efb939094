import assert from 'node:assert/strict';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { haveSshd, TestNodes } from '../support/sshd';
import { Members, type Member } from './members';

describe('one engine, many processes', function () {
  this.timeout(60_000);
  let members: Members;
  beforeEach(() => (members = new Members()));
  afterEach(() => members.close());

  it('shows five of them the same queue within 100 ms of each other', async () => {
    const host = await members.open();
    await host.order({ do: 'local' });
    const all: Member[] = [host, ...(await Promise.all([1, 2, 3, 4].map(() => members.open())))];
    assert.deepEqual(
      all.map(({ role }) => role),
      ['host', 'client', 'client', 'client', 'client'],
    );
    const asker = all[3] ?? host;
    assert.equal(await asker.order({ do: 'submit', run: 'sleep 0.3; exit 3', gpus: 1 }), 1);
    for (const status of ['RUNNING', 'FAILED']) {
      const seen = await Promise.all(all.map((member) => member.sees('local/1', status)));
      const times = seen.map(({ at }) => at);
      assert.ok(Math.max(...times) - Math.min(...times) < 100, `${status} seen at ${times.join()}`);
    }
  });

  it('gives a client reasons as they change, old jobs when it asks, and the words of a refusal', async () => {
    const host = await members.open();
    await host.order({ do: 'local' });
    await host.sees('none', 'unknown');
    const client = await members.open();
    await client.order({ do: 'submit', run: 'sleep 60', gpus: 4 });
    await client.sees('local/1', 'RUNNING');
    await client.order({ do: 'submit', run: 'true', gpus: 2 });
    await client.order({ do: 'submit', run: 'true', gpus: 2 });
    assert.match(String(await client.order({ do: 'reason', id: 3 })), /2 × V100.*job 1 has 4/);
    for (const member of [host, client])
      assert.deepEqual(await member.order({ do: 'jobs', limit: 1 }), [3, 1], 'what runs, however old');
    await assert.rejects(
      client.order({ do: 'submit', run: 'true', gpus: 8 }),
      /refused: local can never run this: .*8 × V100/,
    );
    await assert.rejects(client.order({ do: 'find', id: 99 }), /no-job: local has no job 99/);
    assert.deepEqual(await client.order({ do: 'cancel', ids: [2, 3] }), ['2 CANCELLED', '3 CANCELLED']);
    await client.order({ do: 'cancel', ids: 'all' });
    await host.sees('local/1', 'CANCELLED');
    for (let i = 0; i < 230; i++) void client.order({ do: 'again', id: 2 });
    await client.sees('local/233', 'PENDING', 'SETTING_UP', 'RUNNING', 'SUCCEEDED');
    // A host that did not see them come has only the newest at hand.
    await host.leave();
    await client.until('it hosts', () => (client.role === 'host' ? true : undefined));
    const late = await members.open();
    assert.equal(((await late.order({ do: 'jobs', limit: 300 })) as number[]).length, 200);
    assert.equal(((await late.order({ do: 'list', limit: 300 })) as number[]).length, 233);
    for (let seen = 0; seen < 233;) {
      await late.order({ do: 'sleep', ms: 5 });
      seen = ((await late.order({ do: 'jobs', limit: 300 })) as number[]).length;
    }
    assert.equal(await late.order({ do: 'find', id: 1 }), 'sky-cmd');
    // What still waits would start on this machine by itself.
    while (((await late.order({ do: 'cancel', ids: 'all' })) as unknown[]).length > 0)
      await late.order({ do: 'sleep', ms: 20 });
  });

  it('streams a log to a client from the file, every byte once, over a change of hosts', async () => {
    const host = await members.open();
    await host.order({ do: 'local' });
    const client = await members.open();
    await client.order({
      do: 'submit',
      run: 'for i in $(seq 1 300); do echo "line $i"; sleep 0.01; done',
      gpus: 0,
    });
    const log = client.order({ do: 'log', id: 1 });
    await client.until('something came', (reports) => reports.find(({ kind }) => kind === 'grown'));
    await host.kill();
    const text = String(await log);
    const all = Array.from({ length: 300 }, (_, i) => `line ${i + 1}\n`).join('');
    assert.equal(text, all.slice(all.length - text.length));
    assert.ok(text.startsWith('line 1\n') || text.length > 1000);
  });

  it('puts a node’s question to the process that asked for the node', async function () {
    if (!haveSshd) return this.skip();
    const nodes = new TestNodes();
    const { address, port } = await nodes.add('known');
    const empty = path.join(nodes.dir, 'known-empty');
    writeFileSync(empty, '');
    nodes.configure(
      `Host stranger\n  HostName ${address}\n  Port ${port}\n  StrictHostKeyChecking ask\n  UserKnownHostsFile ${empty}`,
    );
    const asking = new Members('state', nodes.configFile);
    try {
      const host = await asking.open();
      const [other, client] = [await asking.open(), await asking.open()];
      await client.order({ do: 'add', name: 'c', hosts: ['stranger'] });
      await client.until('it is asked', (reports) => reports.find(({ kind }) => kind === 'asked'));
      const states = async (): Promise<unknown> => client.order({ do: 'nodes', name: 'c' });
      while (JSON.stringify(await states()) !== '["up"]') await client.order({ do: 'sleep', ms: 20 });
      assert.equal(host.asked + other.asked, 0);
    } finally {
      await asking.close();
      await nodes.close();
    }
  });

  it('is shared only by one user and one version, and says so', async () => {
    const host = await members.open('1.0.0');
    const other = members.spawn('1.1.0');
    await assert.rejects(
      other.opened,
      /^Error: version: process \d+ has the queue with Cluster Queue 1\.0\.0, but this is 1\.1\.0/,
    );
    if (process.platform === 'win32') return;
    const socket = path.join(members.home, 'run', 'engine.sock');
    assert.equal(statSync(socket).mode & 0o777, 0o600);
    assert.equal(statSync(path.dirname(socket)).mode & 0o777, 0o700);
    assert.equal(statSync(path.join(members.home, 'endpoint.json')).mode & 0o777, 0o600);
    assert.equal(host.role, 'host');
  });

  it('works where the state folder’s path is too long for a socket', async () => {
    const long = new Members('x'.repeat(120));
    try {
      const host = await long.open();
      const client = await long.open();
      assert.deepEqual([host.role, client.role], ['host', 'client']);
      assert.equal(existsSync(path.join(long.home, 'run')), false);
    } finally {
      await long.close();
    }
  });

  it('does not listen in a folder that others can open', async function () {
    if (process.platform === 'win32') return this.skip();
    mkdirSync(path.join(members.home, 'run'), { recursive: true, mode: 0o755 });
    await assert.rejects(members.spawn().opened, /run must be a folder of yours that nobody else can open/);
  });

  it('tells those that wait for it why the store cannot be opened', async () => {
    mkdirSync(members.home, { recursive: true });
    writeFileSync(path.join(members.home, 'store.db'), 'not a store');
    writeFileSync(path.join(members.home, 'store.journal'), 'not a journal');
    const results = await Promise.allSettled([1, 2, 3].map(() => members.spawn().opened));
    const words = results.map((result) => (result.status === 'rejected' ? String(result.reason) : 'open'));
    assert.ok(
      words.every((text) => /store\.(db|journal)/.test(text)) || words.every((text) => text === 'open'),
      words.join('\n'),
    );
  });
});
