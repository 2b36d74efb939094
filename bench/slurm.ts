import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import { bash, bashLater, pause } from './lab';

/** A real Slurm of one node on loopback, with devices that are not there, below a temporary folder. Needs root. */
export class Slurm {
  private readonly daemons: ChildProcess[] = [];

  private constructor(
    private readonly dir: string,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  static async start(gpus: number): Promise<Slurm> {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-slurm-'));
    const slurm = new Slurm(dir, { SLURM_CONF: path.join(dir, 'slurm.conf') });
    try {
      for (const folder of ['state', 'spool', 'munge']) mkdirSync(path.join(dir, folder));
      bash(
        `chmod 755 ${dir} ${dir}/munge; for i in $(seq 0 ${gpus - 1}); do mknod -m 666 ${dir}/gpu$i c 1 3; done`,
      );
      writeFileSync(path.join(dir, 'munge', 'key'), randomBytes(1024), { mode: 0o400 });
      writeFileSync(path.join(dir, 'gres.conf'), `Name=gpu Type=v100 File=${dir}/gpu[0-${gpus - 1}]\n`);
      writeFileSync(path.join(dir, 'slurm.conf'), configuration(dir, gpus));
      const munge = ['key-file=key', 'socket=socket', 'pid-file=pid', 'log-file=log', 'seed-file=seed'];
      slurm.spawn('/usr/sbin/munged', [
        '--force',
        '--foreground',
        ...munge.map((flag) => `--${flag.replace('=', `=${dir}/munge/`)}`),
      ]);
      await pause(500);
      slurm.spawn('/usr/sbin/slurmctld', ['-D']);
      await pause(1500);
      slurm.spawn('/usr/sbin/slurmd', ['-D']);
      for (let tries = 0; tries < 150; tries++) {
        if ((await bashLater('sinfo -h -o %T || true', slurm.env)).trim() === 'idle') return slurm;
        await pause(200);
      }
      throw new Error('Slurm did not come up');
    } catch (error) {
      await slurm.stop();
      throw error;
    }
  }

  /** Submits no-op jobs of so many GPUs each and waits until none is left. */
  async run(jobs: number, gpusEach: number): Promise<void> {
    await bashLater(
      `for ((i = 0; i < ${jobs}; i++)); do sbatch -Q --gres=gpu:v100:${gpusEach} -o ${this.dir}/out --wrap true; done
       while [ -n "$(squeue -h)" ]; do sleep 0.05; done`,
      this.env,
    );
  }

  async stop(): Promise<void> {
    for (const daemon of this.daemons.reverse()) {
      const ended = new Promise((resolve) => daemon.once('exit', resolve));
      if (daemon.exitCode === null && daemon.signalCode === null) {
        daemon.kill();
        await Promise.race([ended, pause(3000).then(() => daemon.kill('SIGKILL'))]);
      }
    }
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }

  private spawn(program: string, flags: readonly string[]): void {
    this.daemons.push(spawn(program, flags, { stdio: 'ignore', env: { ...process.env, ...this.env } }));
  }
}

function configuration(dir: string, gpus: number): string {
  const host = os.hostname();
  // Ports of its own, should the machine have a Slurm already.
  return `ClusterName=bench
SlurmctldHost=${host}(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=${dir}/munge/socket
StateSaveLocation=${dir}/state
SlurmdSpoolDir=${dir}/spool
SlurmctldPidFile=${dir}/slurmctld.pid
SlurmdPidFile=${dir}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
GresTypes=gpu
NodeName=${host} NodeAddr=127.0.0.1 CPUs=${gpus} RealMemory=4000 Gres=gpu:v100:${gpus} State=UNKNOWN
PartitionName=p Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`;
}
