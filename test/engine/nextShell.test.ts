import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { haveSshd } from '../support/sshd';
import { World } from '../support/world';

/** Pids of processes whose command line matches. */
function pidsOf(pattern: string): string[] {
  try {
    return execFileSync('pgrep', ['-f', pattern], { encoding: 'utf8' }).trim().split('\n');
  } catch {
    return [];
  }
}

/** The shell that is made ready for the next job while one runs, see perl/shell.pl. */
describe('the shell of the next job', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const world = new World();
  let home = '';
  let rc = '';

  before(async () => {
    const gpus = { name: 'Tesla V100-SXM2-16GB', count: 2, memoryMiB: 16384 };
    home = (await world.nodes.add('node', { gpus })).home;
    await world.nodes.add('old', { gpus, env: { CLUSTER_QUEUE_SPARE_SECONDS: '0' } });
    rc = path.join(home, '.bashrc');
    await world.open();
    await world.cluster('c', ['node']);
    await world.cluster('old', ['old']);
  });
  beforeEach(() => {
    for (const name of ['events', 'go', '.bashrc', 'parents', 'counts'])
      rmSync(path.join(home, name), { force: true });
  });
  afterEach(async () => {
    await world.engine.cancel('c', 'all');
    await world.until(() => !world.engine.busy, 'all jobs have ended');
    assert.deepEqual(locked(), []);
    await until(() => waitingShells().length === 0, 'no shell waits for a job that will not come');
  });
  after(() => world.close());

  /** Pids of shells that wait for a job, and of what their ~/.bashrc has started. */
  function waitingShells(): string[] {
    return readdirSync('/proc').filter((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
        return environment.includes(`HOME=${home}\0`) && environment.includes('CLUSTER_QUEUE_JOB=next-');
      } catch {
        return false;
      }
    });
  }

  /** How much of what `takes what its ~/.bashrc has left along` leaves is there. */
  function leftByRc(): number {
    return readdirSync('/proc').filter((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
        return /^sleep\0+30[12]/.test(command) && environment.includes(`HOME=${home}\0`);
      } catch {
        return false;
      }
    }).length;
  }

  const starters = (): string[] => pidsOf(`perl ${home}/.* starter$`);
  const keepers = (): string[] => pidsOf(`perl ${home}/.* log `);

  /** Devices that somebody has. */
  function locked(): string[] {
    const folder = path.join(home, '..', 'leases');
    const devices = readdirSync(folder).filter((name) => !name.includes('.by.'));
    return devices.filter((name) => {
      try {
        execFileSync('flock', ['-n', path.join(folder, name), 'true']);
        return false;
      } catch {
        return true;
      }
    });
  }

  const file = (name: string): string => path.join(home, name);
  function events(): string[] {
    try {
      return readFileSync(file('events'), 'utf8').trim().split('\n');
    } catch {
      return [];
    }
  }

  async function until(met: () => boolean, what: string): Promise<void> {
    for (let tries = 0; !met(); tries++) {
      assert.ok(tries < 500, `waited until ${what}: ${events().join(', ')}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** A ~/.bashrc that takes its time for the shell that is made ready. */
  const slowNext = (seconds: number): string =>
    `echo rc >>~/events\ncase $CLUSTER_QUEUE_JOB in next-*) sleep ${seconds} ;; esac\n`;

  function task(run: string, gpus = 2): string {
    const lines = run.split('\n').map((line) => `  ${line}\n`);
    return `resources: {accelerators: "V100:${gpus}"}\nrun: |\n${lines.join('')}`;
  }

  /** A job that notes that it began, and ends when the file `go` is there. */
  const held = (name: string, gpus = 2): string =>
    task(`echo ${name} >>~/events\nuntil [ -e ~/go ]; do sleep 0.02; done`, gpus);

  /** Submits jobs that all wait on the node when the first of them starts; from then on `bashrc` is its ~/.bashrc. */
  async function staged(cluster: string, tasks: readonly string[], bashrc?: string): Promise<number[]> {
    const at = (name: string): string =>
      path.join(home, '..', '..', cluster === 'c' ? 'node' : 'old', 'home', name);
    await world.submit(
      cluster,
      task(
        'touch ~/blocked; until [ -e ~/unblock ]; do sleep 0.02; done; rm -f ~/events ~/blocked ~/unblock',
      ),
    );
    // Before anything is staged: no shell is made ready beside it.
    await until(() => existsSync(at('blocked')), 'the devices are taken');
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (bashrc !== undefined) writeFileSync(rc, bashrc);
    const ids: number[] = [];
    for (const one of tasks) ids.push((await world.submit(cluster, one)).id);
    await world.until(() => world.engine.view(cluster)?.staged === tasks.length, 'all wait on the node');
    writeFileSync(at('unblock'), '');
    await until(() => !existsSync(at('unblock')), 'the devices are free');
    return ids;
  }

  /** Waits until as many shells have read ~/.bashrc as noted it. */
  const ready = (count: number): Promise<void> =>
    until(() => events().filter((event) => event === 'rc').length >= count, `${count} shells are ready`);

  it('has read ~/.bashrc before the job before it ends, and is like a new one for the task', async () => {
    writeFileSync(rc, 'export FROM_RC=yes\necho noise\nalias greet="echo hello"\necho rc >>~/events\n');
    const told = [
      'echo second >>~/events',
      'echo "$FROM_RC $CLUSTER_QUEUE_JOB $CLUSTER_QUEUE_TRY $CUDA_VISIBLE_DEVICES $SKYPILOT_NUM_GPUS_PER_NODE"',
      'echo "$((SECONDS < 2)) $PWD $0"',
      'greet; echo more >&2; compgen -v CQ_',
      'env | grep ^CQ_ | cut -d= -f1',
      'ls -l /proc/self/fd | grep -c memfd || true',
      'ls /proc/$$/fd | wc -l',
    ].join('\n');
    const [, second = 0] = await staged('c', [held('first'), task(told)]);
    await ready(2);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    writeFileSync(file('go'), '');
    assert.equal((await world.ended('c', second)).status, 'SUCCEEDED');
    assert.deepEqual(events().sort(), ['first', 'rc', 'rc', 'second']);
    const cold = await world.submit('c', task(told));
    await world.ended('c', cold.id);
    const logOf = async (id: number): Promise<string> =>
      (await world.log('c', id)).replaceAll(world.engine.job('c', id).record.uuid, 'UUID');
    const warm = await logOf(second);
    assert.equal(warm, await logOf(cold.id));
    assert.match(warm, /^yes UUID-0 1 0,1 2\n1 \/\S+ run\nhello\nmore\n/);
  });

  it('begins while what the job before leaves is put to use: its secrets are gone, and each has its own devices', async () => {
    const secret = (gpus: number): string => `${task('true', gpus)}secrets: {TOKEN: very-secret}\n`;
    const first = `${held('first')}secrets: {TOKEN: very-secret}\n`;
    const ids = await staged('c', [first, secret(2), secret(1), secret(2)]);
    writeFileSync(file('go'), '');
    for (const id of ids) assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
    const jobs = path.join(home, '.cluster-queue', 'node', 'jobs');
    assert.equal(spawnSync('grep', ['-rl', 'very-secret', jobs], { encoding: 'utf8' }).stdout, '');
    // What a client that was away would be told.
    const devices = ids.map((id) => {
      const folder = path.join(jobs, `${world.engine.job('c', id).record.uuid}-0`);
      return readFileSync(path.join(folder, 'sup.node'), 'utf8').trim().split('\n')[1];
    });
    assert.deepEqual(devices, ['0,1 0 .', '0,1 0 .', '0 0 .', '0,1 0 .']);
  });

  it('is not used when ~/.bashrc has changed, or it is too old', async () => {
    writeFileSync(rc, 'V=old\necho rc >>~/events\n');
    const [, second = 0] = await staged('c', [held('first'), task('echo "$V"')]);
    await ready(2);
    writeFileSync(rc, 'V=newer\n');
    writeFileSync(file('go'), '');
    await world.ended('c', second);
    assert.equal(await world.log('c', second), 'newer\n');

    writeFileSync(path.join(home, '..', '..', 'old', 'home', '.bashrc'), 'V=$$\necho $V >>~/events\n');
    const ids = await staged('old', [task('sleep 0.5'), task('echo $V; cat ~/events')]);
    for (const id of ids) await world.ended('old', id);
    // The first job's shell, the one that was made ready and not used, and the second's.
    assert.match(await world.log('old', ids[1] ?? 0), /^(\d+)\n\d+\n\d+\n\1\n$/);
  });

  it('is not used for a job on other devices, which may then be had by whoever comes next', async () => {
    writeFileSync(rc, 'echo rc >>~/events\n');
    const tell = 'echo $CUDA_VISIBLE_DEVICES';
    const ids = await staged('c', [
      held('one', 1),
      task(tell),
      task(tell, 1),
      task(tell, 0.5),
      task(tell, 0.5),
    ]);
    await ready(2);
    writeFileSync(file('go'), '');
    for (const id of ids) await world.ended('c', id);
    const logs = await Promise.all(ids.map((id) => world.log('c', id)));
    assert.deepEqual(logs.slice(0, 2), ['', '0,1\n']);
    for (const log of logs.slice(2)) assert.match(log, /^[01]\n$/);
  });

  it('takes what its ~/.bashrc has left along, with a job and without one', async () => {
    writeFileSync(rc, '(setsid sleep 301 &)\n(sleep 302 &)\necho rc >>~/events\n');
    const [, second = 0] = await staged('c', [held('first'), held('second')]);
    await ready(2);
    await until(() => leftByRc() === 4, 'both shells have left something');
    writeFileSync(file('go'), '');
    await world.ended('c', second);
    await until(() => leftByRc() === 0, 'nothing is left');

    rmSync(file('go'));
    const [, fourth = 0] = await staged('c', [held('third'), held('fourth')]);
    await ready(2);
    await world.engine.cancel('c', [fourth]);
    await world.ended('c', fourth);
    await until(() => leftByRc() === 4, 'both shells have left something');
    writeFileSync(file('go'), '');
    await world.until(() => !world.engine.busy, 'all have ended');
    await until(() => leftByRc() === 0, 'nothing is left');
  });

  it('runs its job once also when ~/.bashrc has sent its output elsewhere', async () => {
    writeFileSync(rc, 'exec >>~/elsewhere 2>&1\necho rc >>~/events\n');
    const second = task('echo second >>~/events; echo said');
    const [, id = 0] = await staged('c', [held('first'), second]);
    await ready(2);
    writeFileSync(file('go'), '');
    assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
    assert.equal(await world.log('c', id), 'said\n');
    assert.deepEqual(events().sort(), ['first', 'rc', 'rc', 'second']);
  });

  it('that is still at ~/.bashrc when its job is cancelled begins nothing', async () => {
    const [, second = 0] = await staged('c', [held('first'), task('echo second >>~/events')], slowNext(20));
    await ready(2);
    writeFileSync(file('go'), '');
    await world.until(() => world.status('c', second) === 'RUNNING', 'the second has its shell');
    await world.engine.cancel('c', [second]);
    assert.equal((await world.ended('c', second)).status, 'CANCELLED');
    assert.ok(!events().includes('second'));
  });

  it('that is ended before its job begins is replaced, and the job runs once', async () => {
    writeFileSync(rc, 'echo rc >>~/events\n');
    const [, second = 0] = await staged('c', [held('first'), task('echo second >>~/events')]);
    await ready(2);
    for (const pid of waitingShells()) process.kill(Number(pid), 'SIGKILL');
    writeFileSync(file('go'), '');
    assert.equal((await world.ended('c', second)).status, 'SUCCEEDED');
    assert.deepEqual(events().sort(), ['first', 'rc', 'rc', 'rc', 'second']);
  });

  it('that is ended when its job is given to it is replaced, and the job runs once', async () => {
    const [, second = 0] = await staged('c', [held('first'), task('echo second >>~/events')], slowNext(2));
    await ready(2);
    writeFileSync(file('go'), '');
    await world.until(() => world.status('c', second) === 'RUNNING', 'the second has its shell');
    for (const pid of waitingShells()) process.kill(Number(pid), 'SIGKILL');
    assert.equal((await world.ended('c', second)).status, 'SUCCEEDED');
    assert.deepEqual(events().sort(), ['first', 'rc', 'rc', 'rc', 'second']);
  });

  it('leaves the devices free when the job before it is over, however short that was', async () => {
    const ids = await staged(
      'c',
      Array.from({ length: 60 }, () => task('true')),
    );
    await world.until(() => !world.engine.busy, 'all have ended');
    const supervisors = ids.map((id) => {
      const job = path.join(home, '.cluster-queue/node/jobs', `${world.engine.job('c', id).record.uuid}-0`);
      return readFileSync(path.join(job, 'sup.node'), 'utf8').split(' ')[0];
    });
    assert.deepEqual(new Set(supervisors).size, 1, 'one starts the next, and none waits until another can');
  });

  it('has its log kept by whoever kept that of the job before, or by another when that one is gone', async () => {
    const tell = 'seq 1 20000; pgrep -f "perl $HOME/.* log " >>~/keepers';
    const ids = await staged('c', [task(tell), task(tell), held('third'), task(tell)]);
    await until(() => events().includes('third'), 'the third runs');
    const [first, second] = readFileSync(file('keepers'), 'utf8').trim().split('\n');
    assert.ok(first === second && first !== undefined);
    assert.deepEqual(keepers(), [first]);
    process.kill(Number(first), 'SIGKILL');
    writeFileSync(file('go'), '');
    for (const id of ids) await world.ended('c', id);
    const whole = Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join('');
    for (const id of [ids[0], ids[1], ids[3]]) assert.equal(await world.log('c', id ?? 0), whole);
    await until(() => keepers().length === 0, 'nobody keeps logs any more');
  });

  it('is forked by the supervisor itself when its starter is gone, and every job runs once', async () => {
    writeFileSync(rc, 'echo rc >>~/events\n');
    const names = ['second', 'third', 'fourth'];
    const ids = await staged('c', [
      held('first'),
      ...names.map((name) => task(`echo ${name} >>~/events; echo $PPID >>~/parents`)),
    ]);
    await ready(2);
    const [starter] = starters();
    process.kill(Number(starter), 'SIGKILL');
    writeFileSync(file('go'), '');
    for (const id of ids) assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
    assert.deepEqual(
      events().filter((event) => event !== 'rc'),
      ['first', ...names],
    );
    const parents = readFileSync(file('parents'), 'utf8').trim().split('\n');
    assert.deepEqual([parents.length, new Set(parents).size], [3, 1], 'one supervisor has had them all');
    assert.deepEqual(starters(), []);
  });

  it('keeps no job’s devices for long while somebody else looks for what comes next', async () => {
    const [first = 0] = await staged('c', [held('first'), task('echo second >>~/events')]);
    await until(() => locked().length === 2, 'the first has its devices');
    const lock = path.join(home, '.cluster-queue/node/runner.lock');
    const looker = spawn('flock', [lock, 'sleep', '3'], { stdio: 'ignore' });
    await until(() => spawnSync('flock', ['-n', lock, 'true']).status === 1, 'somebody looks');
    writeFileSync(file('go'), '');
    await until(() => locked().length === 0, 'they are free');
    assert.equal(looker.exitCode, null, 'while somebody still looks');
    assert.ok(!events().includes('second'));
    assert.equal((await world.ended('c', first)).status, 'SUCCEEDED');
    await until(() => events().includes('second'), 'the second runs');
  });

  it('leaves nothing of its job, and all of what runs beside that', async () => {
    const beside = 'sleep 303 & (setsid sleep 304 &)\n';
    const ids = await staged('c', [
      task(`${beside}echo one >>~/events\nuntil [ -e ~/go ]; do sleep 0.02; done`, 1),
      task('true', 1),
      task('(setsid sleep 305 &); sleep 0.1', 1),
      task('sleep 306 & disown -a', 1),
    ]);
    await world.ended('c', ids[2] ?? 0);
    assert.deepEqual(pidsOf('^sleep 305$'), []);
    await world.ended('c', ids[3] ?? 0);
    assert.deepEqual(pidsOf('^sleep 30[56]$'), []);
    assert.equal(pidsOf('^sleep 30[34]$').length, 2);
    writeFileSync(file('go'), '');
    await world.ended('c', ids[0] ?? 0);
    assert.deepEqual(pidsOf('^sleep 30[34]$'), []);
  });

  it('is not waited for when its starter has stopped', async () => {
    const ids = await staged('c', [task('true'), held('second'), task('true'), task('echo last >>~/events')]);
    await until(() => events().includes('second') && starters().length === 1, 'the second runs');
    const starter = Number(starters()[0]);
    process.kill(starter, 'SIGSTOP');
    writeFileSync(file('go'), '');
    for (const id of ids) assert.equal((await world.ended('c', id, 15_000)).status, 'SUCCEEDED');
    assert.ok(!starters().includes(String(starter)));
  });

  it('has a starter that has no more open from one job to the next', async () => {
    const count = 'ls /proc/$(pgrep -f "perl $HOME/.* starter$" | head -1)/fd | wc -l >>~/counts; sleep 0.2';
    const ids = await staged('c', [
      task('true'),
      task('sleep 0.3'),
      ...Array.from({ length: 5 }, () => task(count)),
    ]);
    for (const id of ids) await world.ended('c', id);
    const counts = readFileSync(file('counts'), 'utf8').trim().split('\n');
    assert.deepEqual([counts.length, new Set(counts).size], [5, 1], counts.join(' '));
  });

  it('has its log kept whole when a keeper is killed before it has taken that', async () => {
    const ids = await staged('c', [
      task('true'),
      // Its pipe ends while it runs: from then on the keeper waits for the next.
      task('exec >/dev/null 2>&1; echo second >>~/events\nuntil [ -e ~/go ]; do sleep 0.02; done'),
      task('echo third >>~/events; for i in 1 2 3; do echo said $i; sleep 0.3; done'),
    ]);
    await until(() => events().includes('second'), 'the second runs');
    const [keeper] = keepers();
    await new Promise((resolve) => setTimeout(resolve, 200));
    process.kill(Number(keeper), 'SIGSTOP');
    writeFileSync(file('go'), '');
    await until(() => events().includes('third'), 'the third runs');
    process.kill(Number(keeper), 'SIGKILL');
    const last = ids[2] ?? 0;
    assert.equal((await world.ended('c', last)).status, 'SUCCEEDED');
    assert.equal(await world.log('c', last), 'said 1\nsaid 2\nsaid 3\n');
  });

  it('leaves no process whose name has a line break', async () => {
    // prctl(PR_SET_NAME)
    const named = `setsid perl -e '$n = "a\\nb"; syscall(157, 15, $n); sleep 307' & sleep 0.5`;
    const [first = 0] = await staged('c', [
      process.arch === 'x64' ? task(named) : task('true'),
      task('true'),
    ]);
    await world.ended('c', first);
    assert.deepEqual(pidsOf('^perl -e .*sleep 307$'), []);
  });

  it('is not killed while it reads ~/.bashrc, where it may have a lock of somebody, and holds no device there', async () => {
    const locking = 'touch ~/lock; echo rc >>~/events; sleep 1; rm ~/lock';
    const [first = 0] = await staged(
      'c',
      [held('first'), held('second')],
      `case $CLUSTER_QUEUE_JOB in next-*) ${locking} ;; esac\n`,
    );
    await ready(1);
    await world.engine.cancel('c', 'all');
    await world.ended('c', first);
    await world.until(() => !world.engine.busy, 'all have ended');
    assert.deepEqual(locked(), []);
    await until(() => waitingShells().length === 0, 'it has ended');
    assert.ok(!existsSync(file('lock')));
  });

  it('goes with its supervisor, and a job that runs in it keeps its devices without one', async () => {
    writeFileSync(rc, 'echo rc >>~/events\n');
    const second = task('echo second >>~/events\nuntil [ -e ~/stop ]; do sleep 0.02; done');
    const [, id = 0] = await staged('c', [held('first'), second, task('echo third >>~/events')]);
    await ready(2);
    writeFileSync(file('go'), '');
    await ready(3);
    await until(() => events().includes('second'), 'the second runs');
    const words = `supervise ${home}/.*/${world.engine.job('c', id).record.uuid}`;
    const [supervisor] = pidsOf(words);
    process.kill(Number(supervisor), 'SIGKILL');
    await until(() => waitingShells().length === 1, 'only the shell that the second runs in is left');
    assert.equal(locked().length, 2);
    assert.ok(!events().includes('third'));
    writeFileSync(file('stop'), '');
    await until(() => locked().length === 0, 'its devices are free');
    rmSync(file('stop'));
  });
});
