import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Samples, type Case } from '../case';
import { bashLater, Lab } from '../lab';
import { DelayingProxy } from '../proxy';

const JOB = 'echo begin $EPOCHREALTIME; sleep 0.1; echo end $EPOCHREALTIME';

export const gap: Case = {
  name: 'gap',
  title: 'idle gap of a GPU between two queued jobs, by the jobs’ own clocks',
  peer: 'task-spooler on the node itself',
  target: [
    { of: 'cluster queue', most: 20 },
    { of: 'cluster queue', against: 'task-spooler', most: 1 },
    { of: 'cluster queue, +50 ms of latency', most: 75 },
  ],
  floor: 'the end and the start of a job’s processes; a round trip until the node starts staged jobs itself',
  why: 'Where the time goes: with few forks since its start a job’s end no longer looks at all of /proc, which took the median gap from 30 and 39 ms to 22 and 26 ms in two alternating whole runs of the agents before and after (from 80 and 93 to 74 and 73 ms with latency added); dispatch showed no clear change (22 and 31, then 28 and 29 ms). The 54 → 17 ms and 18.5 → 28.5 jobs/s in that commit’s message are one quick run each, not alternated, and overstate it. The rest, as read and not yet profiled: mv, the event to the engine, an fdatasync, and the start of two bashes. Starts staged on the node will take the round trip away.',
  async run({ quick, has }) {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-bench-'));
    const near = await Lab.open({ gpus: 1 });
    const far = await Lab.open();
    const proxy = await DelayingProxy.open(far, 50);
    const samples = new Samples();
    const jobs = quick ? 5 : 15;
    try {
      far.world.nodes.configure(
        `Host far\n  HostName 127.0.0.1\n  Port ${proxy.port}\n  HostKeyAlias [${far.address}]:${far.port}`,
      );
      await far.define('far', 'far', 1);
      for (let round = 0; round < (quick ? 1 : 5); round++) {
        samples.add('cluster queue', 'ms', ...(await throughQueue(near, 'lab', jobs)));
        if (has('tsp')) samples.add('task-spooler', 'ms', ...(await throughSpooler(dir, jobs)));
        samples.add('cluster queue, +50 ms of latency', 'ms', ...(await throughQueue(far, 'far', jobs)));
      }
      return { series: samples.series() };
    } finally {
      proxy.close();
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
