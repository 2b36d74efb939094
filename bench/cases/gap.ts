import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { SshTransport } from '../../src/transport';
import { Samples, timed, type Case } from '../case';
import { bashLater, Lab, pause } from '../lab';
import { DelayingProxy } from '../proxy';

const JOB = 'echo begin $EPOCHREALTIME; sleep 0.1; echo end $EPOCHREALTIME';

export const gap: Case = {
  name: 'gap',
  title: 'idle gap of a GPU between two queued jobs, by the jobs’ own clocks',
  peer: 'task-spooler on the node itself',
  target: [
    { of: 'cluster queue', most: 20 },
    { of: 'cluster queue', against: 'task-spooler', and: 'round trip', most: 1 },
    { of: 'cluster queue, +50 ms of latency', against: 'cluster queue', most: 1.25 },
    { of: 'cluster queue, +200 ms of latency', against: 'cluster queue', most: 1.25 },
  ],
  floor: 'the end of one shell, a look at what it may have left, and a wake of the next',
  why: 'Jobs that wait are staged on their node, and the supervisor that ends one starts the next: the network has no part in it. The shell of the next has read ~/.bashrc beside the job before, no new file is made for it (a spent one of the last job becomes its own), and it is told to begin before anybody hears of the end. What is left, by a trace: 0.3 ms for the end of a shell, 0.25 for a look at what it may have left, 0.9 for books, leases, the queue’s folder and the claim, and 0.3 until the first instruction of the next.',
  async run({ quick, has }) {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-bench-'));
    const near = await Lab.open({ gpus: 1 });
    const far = await Lab.open();
    const links = [50, 200];
    const proxies = await Promise.all(links.map((delay) => DelayingProxy.open(far, delay)));
    const samples = new Samples();
    const jobs = quick ? 5 : 15;
    try {
      for (const [at, delay] of links.entries()) {
        const name = `far${delay}`;
        far.world.nodes.configure(
          `Host ${name}\n  HostName 127.0.0.1\n  Port ${proxies[at]?.port ?? 0}\n  HostKeyAlias [${far.address}]:${far.port}`,
        );
        await far.world.cluster(name, [name], 1);
      }
      for (let round = 0; round < (quick ? 1 : 5); round++) {
        samples.add('cluster queue', 'ms', ...(await throughQueue(near, 'lab', jobs)));
        if (has('tsp')) samples.add('task-spooler', 'ms', ...(await throughSpooler(dir, jobs)));
        samples.add('round trip', 'ms', ...(await roundTrips(near, jobs)));
        for (const delay of links) {
          const gaps = await throughQueue(far, `far${delay}`, jobs);
          samples.add(`cluster queue, +${delay} ms of latency`, 'ms', ...gaps);
        }
      }
      return { series: samples.series() };
    } finally {
      for (const proxy of proxies) proxy.close();
      await near.close();
      await far.close();
      rmSync(dir, { recursive: true, force: true });
    }
  },
};

async function throughQueue(lab: Lab, cluster: string, jobs: number): Promise<number[]> {
  const { world } = lab;
  const yaml = `resources: {accelerators: V100:1, cpus: 0.01}\nrun: ${JOB}`;
  const records = await Promise.all(Array.from({ length: jobs }, () => world.submit(cluster, yaml)));
  await lab.idle();
  const logs = await Promise.all(records.map(({ id }) => world.log(cluster, id)));
  return gaps(logs.join('\n'));
}

/** ms that a byte takes to a process on the node and back, over an open connection. */
async function roundTrips(lab: Lab, count: number): Promise<number[]> {
  const { configFile } = lab.world.nodes;
  const transport = await SshTransport.connect('node', { configFile, prompter: undefined });
  const times: number[] = [];
  try {
    const { stdin, stdout } = await transport.exec('cat');
    for (let i = 0; i < count; i++) {
      const back = new Promise((resolve) => stdout.once('data', resolve));
      times.push(
        await timed(() => {
          stdin.write('.');
          return back;
        }),
      );
      await pause(20);
    }
  } finally {
    transport.close();
  }
  return times;
}

async function throughSpooler(dir: string, jobs: number): Promise<number[]> {
  const log = path.join(dir, 'log');
  const text = `export LOG=${log}; rm -f $LOG
    for ((i = 0; i < ${jobs}; i++)); do tsp -n bash -c '{ ${JOB}; } >>$LOG' >/dev/null; done
    while tsp -l | grep -qE ' (running|queued) '; do sleep 0.05; done; tsp -K`;
  await bashLater(text, { TS_SOCKET: path.join(dir, 'tsp'), TMPDIR: dir });
  return gaps(readFileSync(log, 'utf8'));
}

/** ms between each end and the next begin; jobs ran one at a time, so by time they alternate. */
function gaps(log: string): number[] {
  const times = [...log.matchAll(/(begin|end) ([\d.]+)/g)]
    .map(([, what, at]) => ({ what, ms: Number(at) * 1000 }))
    .sort((a, b) => a.ms - b.ms);
  return times.flatMap(({ what, ms }, index) => {
    const before = times[index - 1];
    return what === 'begin' && before?.what === 'end' ? [ms - before.ms] : [];
  });
}
