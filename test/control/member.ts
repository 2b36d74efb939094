import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { openQueue, type Queue } from '../../src/control';
import { QueueError } from '../../src/engine';
import { commandTask } from '../../src/task';
import type { Order, Report } from './members';

/**
 * A process that shares the queue: `node member.js HOME VERSION [SSH_CONFIG]`. It reports, as lines of JSON on stdout, that it is open,
 * every change as it sees the jobs then, and the answers to orders, which it reads from stdin.
 */
async function main(home: string, version: string, sshConfigFile: string): Promise<void> {
  const queue = await openQueue({
    home,
    version,
    localEnv: { HOME: home },
    ...(sshConfigFile === '' ? {} : { sshConfigFile }),
    prompter: {
      passphrase: () => Promise.resolve(undefined),
      password: () => Promise.resolve(undefined),
      answer: () => Promise.resolve(undefined),
      trustHost: (node) => {
        say({ kind: 'asked', node });
        return Promise.resolve(true);
      },
    },
  });
  const state = (): Report => ({ kind: 'state', at: Date.now(), role: queue.role, jobs: jobsOf(queue) });
  queue.onDidChange(() => say(state()));
  queue.onTrouble((error) => say({ kind: 'trouble', message: error.message }));
  say({ kind: 'open', pid: process.pid, role: queue.role });
  say(state());
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line) as Order;
    obey(queue, order).then(
      (value) => say({ kind: 'answer', number: order.number, value }),
      (error: unknown) =>
        say({
          kind: 'answer',
          number: order.number,
          error: error instanceof Error ? error.message : String(error),
          code: error instanceof QueueError ? error.code : '',
        }),
    );
  }
  await queue.close();
  say({ kind: 'closed' });
}

async function obey(queue: Queue, order: Order): Promise<unknown> {
  switch (order.do) {
    case 'local':
      return queue.defineLocal('local', { name: 'V100', count: 4 });
    case 'add':
      return queue.addCluster({
        name: order.name,
        nodes: (order.hosts ?? []).map((host) => ({ name: host, destination: host })),
      });
    case 'remove':
      return queue.removeCluster(order.name);
    case 'submit': {
      const task = commandTask(order.run);
      const gpu = { accelerator: { name: 'V100', count: order.gpus } };
      const record = await queue.submit(
        { ...task, resources: order.gpus === 0 ? [{}] : [gpu] },
        { cluster: 'local', user: 'me', ...(order.uuid === undefined ? {} : { uuid: order.uuid }) },
      );
      // What it did must be in its own view by now.
      return queue.job('local', record.id).record.id;
    }
    case 'cancel': {
      const records = await queue.cancel('local', order.ids);
      return records.map(({ id }) => `${id} ${queue.job('local', id).record.status}`);
    }
    case 'again':
      return (await queue.runAgain('local', order.id, 'me')).id;
    case 'reason':
      return queue.job('local', order.id).reason?.text;
    case 'list':
      return (await queue.list('local', order.limit)).map(({ record }) => record.id);
    case 'jobs':
      return queue.jobs('local', order.limit).map(({ record }) => record.id);
    case 'find':
      return (await queue.find('local', order.id)).record.name;
    case 'log':
      return logOf(queue, order.id);
    case 'nodes':
      return queue.view(order.name)?.nodes.map(({ link }) => link.state);
    case 'connect':
      queue.connect('local');
      return undefined;
    case 'sleep':
      return sleep(order.ms);
  }
}

/** The text of a log as a follower gets it: what is in the file, then what is appended. */
async function logOf(queue: Queue, id: number): Promise<string> {
  const { mirror, release } = queue.log('local', id);
  const parts: { at: number; text: string }[] = [];
  mirror.onAppend(({ at, bytes }) => {
    parts.push({ at, text: bytes.toString('latin1') });
    say({ kind: 'grown', size: at + bytes.length });
  });
  if (!mirror.complete) await new Promise<void>((resolve) => mirror.onEnd(() => resolve()));
  release();
  let text = '';
  for (const part of parts) {
    if (part.at > text.length && text !== '') throw new Error(`a gap at ${text.length}`);
    text = text.slice(0, part.at - (parts[0]?.at ?? 0)) + part.text;
  }
  return text;
}

function jobsOf(queue: Queue): Record<string, string> {
  return Object.fromEntries(
    queue
      .views()
      .flatMap(({ name }) =>
        queue.jobs(name).map(({ record }): [string, string] => [`${name}/${record.id}`, record.status]),
      ),
  );
}

function say(report: Report): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

const [, , home = '', version = '', sshConfigFile = ''] = process.argv;
main(home, version, sshConfigFile).catch((error: unknown) => {
  say({
    kind: 'failed',
    message: error instanceof Error ? error.message : String(error),
    code: error instanceof QueueError ? error.code : '',
  });
  process.exitCode = 1;
});
