import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { launch, nodesOf, openQueue, type Queue } from '../../src/control';
import { endOf, wholeLog } from '../support/queues';
import { haveSshd, TestNodes } from '../support/sshd';
import { taskOf } from '../support/world';
import { assertLog, Ledger } from './ledger';
import { jobProcesses, type Found } from './processes';
import { pause } from './scale';

const LINES = 20;
const PASSPHRASE = 'nobody types this';
/** A login shell each, as far as they are here, and bash for the others. */
const SHELLS = ['bash', 'dash', 'zsh', 'fish', 'tcsh'].filter((shell) => existsSync(`/usr/bin/${shell}`));

/** What people have in the files that their shells read, and that no program which logs in expects. */
function noisyHome(home: string): void {
  mkdirSync(path.join(home, '.config', 'fish'), { recursive: true });
  const files = ['.bashrc', '.profile', '.zshenv', '.tcshrc', '.config/fish/config.fish'];
  for (const file of files)
    writeFileSync(
      path.join(home, file),
      `echo "welcome from ${file}, CQ1 ok"\necho 'module: command not found' >&2\n`,
    );
  // As most have it: what is meant for a person alone stands behind this.
  writeFileSync(
    path.join(home, '.bashrc'),
    `case $- in *i*) ;; *) echo "welcome from .bashrc, CQ1 ok"; echo 'module: command not found' >&2 ;; esac\n`,
  );
}

describe('machines as people have them, all at once', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const nodes = new TestNodes();
  let agent: ChildProcess | undefined;
  let queue: Queue;

  before(async () => {
    const state = path.join(nodes.dir, 'state');
    const shared = path.join(nodes.dir, 'shared-home');
    const key = path.join(nodes.dir, 'encrypted_key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', PASSPHRASE, '-f', key]);
    const banner = path.join(nodes.dir, 'banner');
    writeFileSync(banner, 'Authorised use only.\n');
    for (let n = 0; n < 8; n++) {
      const shell = SHELLS[n % SHELLS.length] ?? 'bash';
      const node = await nodes.add(n < 4 ? `own-${n}` : `shared-${n}`, {
        gpus: { name: 'Tesla V100-SXM2-16GB', count: 2, memoryMiB: 16384 },
        config: `ForceCommand exec ${shell} -c "$SSH_ORIGINAL_COMMAND"\nBanner ${banner}`,
        ...(n < 4 ? {} : { home: shared }),
      });
      noisyHome(node.home);
      writeFileSync(path.join(nodes.dir, node.name, 'authorized_keys'), readFileSync(`${key}.pub`));
    }
    const socket = path.join(nodes.dir, 'agent');
    agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
    if (agent.stdout) await once(agent.stdout, 'data');
    const askpass = path.join(nodes.dir, 'askpass');
    writeFileSync(askpass, `#!/bin/sh\necho '${PASSPHRASE}'\n`, { mode: 0o755 });
    execFileSync('ssh-add', ['-q', key], {
      env: { ...process.env, SSH_AUTH_SOCK: socket, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' },
      stdio: 'ignore',
    });
    nodes.configure(`Host shared-* own-1 own-2 own-3\n  ProxyJump own-0`);
    nodes.configure(`Host shared-* own-*\n  IdentityAgent ${socket}\n  IdentityFile ${key}`);
    // Nobody is there to be asked.
    queue = await openQueue({ home: state, version: 'test', sshConfigFile: nodes.configFile, graceS: 1 });
  });
  after(async () => {
    await queue.close();
    agent?.kill();
    await nodes.close();
  });

  it('are launched together, and run gangs and single jobs, each once, with every line and no GPU twice', async () => {
    const names = Array.from({ length: 8 }, (_, n) => (n < 4 ? `own-${n}` : `shared-${n}`));
    const ledger = new Ledger(path.join(nodes.dir, 'ledger'));
    const project = path.join(nodes.dir, 'project');
    mkdirSync(project);
    writeFileSync(path.join(project, 'code'), 'the code of now');
    writeFileSync(path.join(nodes.dir, 'data'), 'rows');
    const first = taskOf(
      ledger.task({
        owner: 'c',
        gpus: 2,
        lines: LINES,
        seconds: 0.1,
        last: '[ "$(cat code ~/data)" = "the code of nowrows" ]',
        more: `num_nodes: 8
workdir: ${project}
file_mounts: {~/data: ${path.join(nodes.dir, 'data')}}
setup: '[ -s ~/data ] && echo set up on $SKYPILOT_SETUP_NODE_RANK'`,
      }),
    );
    const said: string[] = [];
    const { setup, run, passedOver } = await launch(
      queue,
      { name: 'c', nodes: nodesOf(names), task: first, user: 'me' },
      { say: (words) => said.push(words), signal: new AbortController().signal },
    );
    assert.ok(setup && run, said.join('\n'));
    assert.deepEqual(passedOver, []);
    for (const name of names)
      assert.ok(
        said.some((words) => words.startsWith(`${name}: 2 × V100`)),
        name,
      );
    const homes = queue.view('c')?.nodes.map(({ name, about }) => [name, about?.sharesHomeWith.length]);
    assert.deepEqual(
      homes,
      names.map((name, n) => [name, n < 4 ? 0 : 3]),
    );

    const job = { owner: 'c', lines: LINES, seconds: 0.2 };
    const gangs = ['num_nodes: 4', 'num_nodes: 2', 'num_nodes: 8'].map((more, n) =>
      ledger.task({ ...job, gpus: 1 + (n % 2), more }),
    );
    const singles = Array.from({ length: 24 }, (_, n) => ledger.task({ ...job, gpus: 1 + (n % 2) }));
    await Promise.all(
      [...singles.slice(0, 12), ...gangs, ...singles.slice(12)].map((yaml) =>
        queue.submit(taskOf(yaml), { cluster: 'c', user: 'me' }),
      ),
    );
    const records = [];
    for (const { record } of await queue.list('c', 1000)) {
      const ended = await endOf(queue, 'c', record.id);
      assert.equal(ended.status, 'SUCCEEDED', `job ${ended.id}: ${ended.message ?? ''}`);
      records.push(ended);
    }
    assert.equal(records.length, 2 + 3 + 24);
    ledger.balance(
      'c',
      records.filter(({ id }) => id !== setup.id),
    );
    for (const { id, demand } of records) {
      const log = await wholeLog(queue, 'c', id);
      if (id === setup.id) {
        const ranks = [...log.matchAll(/set up on (\d)$/gm)].map(([, rank]) => Number(rank));
        assert.deepEqual(ranks.sort(), [0, 1, 2, 3, 4, 5, 6, 7], log);
      } else if (demand.numNodes === 1) assertLog(log, id, LINES);
      else
        for (const [rank, name] of (
          records.find((record) => record.id === id)?.placement?.ranks ?? []
        ).entries()) {
          const prefix = `(rank ${rank}, ${name.node}) `;
          const lines = log.split('\n').filter((line) => line.startsWith(prefix));
          assertLog(lines.map((line) => `${line.slice(prefix.length)}\n`).join(''), id, LINES);
        }
    }
    // Runners that were to start what stands behind a gang, had this client gone silent, go when that time is over.
    const left = (): Found[] => jobProcesses(nodes.dir).filter(({ command }) => !/\.sh runner/.test(command));
    while (left().length > 0) await pause(50);
  });
});
