import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Cq } from './cq';

const COMMANDS = [
  'launch',
  'exec',
  'queue',
  'logs',
  'cancel',
  'hold',
  'release',
  'move',
  'status',
  'down',
  'check',
  'validate',
  'engine',
  'completion',
];

describe('the words of cq', function () {
  this.timeout(60_000);
  const cq = new Cq();
  after(() => cq.close());
  const file = (name: string, text: string): string => {
    const full = path.join(cq.dir, name);
    writeFileSync(full, text);
    return full;
  };

  it('start fast', () => {
    const time = (args: string[]): number => {
      const began = performance.now();
      assert.equal(spawnSync(process.execPath, args).status, 0);
      return performance.now() - began;
    };
    const best = (args: string[]): number => Math.min(...Array.from({ length: 7 }, () => time(args)));
    const [bare, ours] = [best(['-e', '0']), best([cq.program, '--version'])];
    assert.ok(ours <= 2 * bare || ours <= 150, `cq --version ${ours} ms, node -e 0 ${bare} ms`);
  });

  it('say their version and their help', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    assert.deepEqual(await cq.run('--version'), { code: 0, stdout: `${version}\n`, stderr: '' });
    const help = await cq.run('--help');
    assert.equal(help.code, 0);
    for (const command of COMMANDS) assert.match(help.stdout, new RegExp(`^  ${command}\\b`, 'm'));
    const pages = await Promise.all(COMMANDS.map((command) => cq.run(command, '--help')));
    for (const [index, page] of pages.entries()) {
      assert.equal(page.code, 0);
      assert.match(page.stdout, new RegExp(`^Usage: cq ${COMMANDS[index] ?? ''} `));
      assert.equal(page.stderr, '');
    }
  });

  for (const [args, words] of [
    [[], /Usage: cq/],
    [['nonsense'], /unknown command 'nonsense'/],
    [['queu'], /Did you mean queue/],
    [['exec'], /missing required argument 'cluster'/],
    [['exec', 'c'], /give a task file, or a command after --/],
    [['exec', 'c', '--'], /no command after --/],
    [['exec', 'c', 'a.yaml', '--', 'true'], /not both/],
    [['exec', 'c', 'python', 'train.py'], /put -- before it: -- python train\.py/],
    [['exec', 'c', '--sweep', 'lr=1'], /unknown option '--sweep'/],
    [['exec', 'c', '--env', 'CQ_NOT_SET', '--', 'true'], /--env CQ_NOT_SET: write NAME=VALUE/],
    [['exec', 'c', '--env', '=x', '--', 'true'], /write NAME=VALUE/],
    [['exec', 'c', '--after', 'x', '--', 'true'], /"x" is not a job id/],
    [['launch'], /required option '-c, --cluster <name>'/],
    [['launch', '-c', 'c', '--hosts', 'a', '--local'], /cannot be used with/],
    [['launch', '-c', 'c', '--hosts', 'a', '--virtual', 'V100:4'], /--virtual goes with --local/],
    [['launch', '-c', 'c', '--local', '--virtual', '4xV100'], /write a name and a number/],
    [['logs', 'local', 'first'], /"first" is not a job id/],
    [['logs', 'local', '--tail', 'many'], /--tail many: write a whole number/],
    [['logs', 'local', '--status', '--sync-down', 'x'], /cannot be used with/],
    [['cancel', 'local'], /name the jobs, or say --all/],
    [['cancel', 'local', '1', '--all'], /not both/],
    [['move', 'local', '1'], /say where: one of/],
    [['move', 'local', '1', '--first', '--up'], /say where: one of/],
    [['validate'], /missing required argument 'files'/],
    [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/],
  ] as const) {
    it(`are refused with exit code 2 and an explanation: cq ${args.join(' ')}`, async () => {
      const { code, stdout, stderr } = await cq.run(...args);
      assert.equal(code, 2, stderr);
      assert.equal(stdout, '');
      assert.match(stderr, words);
    });
  }

  for (const [args, words] of [
    [['exec', 'c', 'missing.yaml'], /there is no file missing\.yaml/],
    [['exec', 'nowhere', '--', 'true'], /there is no cluster nowhere \(known: local\).*cq launch -c nowhere/],
    [['exec', 'local', '--gpus', 'V100:0', '--', 'true'], /V100:0|count|above 0/],
    [['exec', 'local', '-n', 'a b', '--', 'true'], /name/],
    [['exec', 'local', '--workdir', 'missing', '--', 'true'], /--workdir missing is not a folder/],
    [['exec', 'local', '--env-file', 'missing', '--', 'true'], /--env-file missing cannot be read/],
    [['exec', 'local', '--gpus', 'V100:400', '--', 'true'], /can never run this/],
    [['queue', 'nowhere'], /no cluster nowhere/],
    [['cancel', 'nowhere', '1'], /no cluster nowhere/],
    [['cancel', 'local', '7'], /local has no job 7/],
    [['hold', 'local', '7'], /local has no job 7/],
    [['down', 'nowhere', '-y'], /no cluster nowhere/],
    [['launch', '-c', '-x', '--local'], /cannot name a cluster|argument/],
    [['check', 'no-such-host.invalid'], /^no {2}no-such-host\.invalid: /],
  ] as const) {
    it(`end with exit code 1 and the cause: cq ${args.join(' ')}`, async () => {
      const { code, stdout, stderr } = await cq.run(...args);
      assert.ok(code === 1, `${code} ${stderr}`);
      assert.match(args[0] === 'check' ? stdout : stderr, words);
    });
  }

  it('of validate check SkyPilot’s node pools too', async () => {
    const pools = file('ssh_node_pools.yaml', 'lab:\n  hosts:\n    - {ip: 10.0.0.2, usr: x}\n');
    const { code, stdout } = await cq.run('validate', pools);
    assert.equal(code, 0);
    assert.match(stdout, /ssh_node_pools\.yaml:3:22: warning: .*usr.*user/);
  });

  it('of validate tell places from 1, and need no cluster', async () => {
    const good = file('good.yaml', 'run: echo hi\n');
    const bad = file('bad.yaml', 'name: x\nresources:\n  acelerators: V100:4\nrun: echo\n');
    assert.deepEqual(await cq.run('validate', good), { code: 0, stdout: `${good}: good\n`, stderr: '' });
    const plain = await cq.run('validate', good, bad);
    assert.equal(plain.code, 1);
    assert.match(plain.stdout, /bad\.yaml:3:3: error: .*\(unknown-field\)/);
    const json = await cq.run('validate', '--json', good, bad);
    assert.equal(json.code, 1);
    const found = JSON.parse(json.stdout) as { file: string; problems: Record<string, unknown>[] }[];
    assert.deepEqual(
      found.map((one) => one.file),
      [good, bad],
    );
    const [problem] = found[1]?.problems ?? [];
    assert.deepEqual(
      [
        problem?.line,
        problem?.column,
        problem?.endLine,
        problem?.endColumn,
        problem?.severity,
        problem?.code,
      ],
      [3, 3, 3, 14, 'error', 'unknown-field'],
    );
    const missing = await cq.run('validate', 'missing.yaml');
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /missing\.yaml cannot be read/);
  });

  it('of exec name what a file leaves open, and its mistakes, before anything is queued', async () => {
    const open = file('open.yaml', 'envs:\n  LR:\nsecrets:\n  TOKEN:\nrun: echo\n');
    const asked = await cq.run('exec', 'local', open);
    assert.equal(asked.code, 1);
    assert.match(asked.stderr, /give --env LR=… --secret TOKEN=…/);
    const bad = file('bad2.yaml', 'run: echo\nnum_nodes: two\n');
    const refused = await cq.run('exec', 'local', bad);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /bad2\.yaml:2:12: error: [^]*bad2\.yaml has mistakes: nothing was queued/);
  });

  for (const [shell, check] of [
    ['bash', ['-n']],
    ['zsh', ['-n']],
    ['fish', ['--no-execute']],
  ] as const) {
    it(`of completion are a script that ${shell} can read, with every command`, async function () {
      const { code, stdout } = await cq.run('completion', shell);
      assert.equal(code, 0);
      for (const command of COMMANDS) assert.ok(stdout.includes(command));
      assert.ok(stdout.includes('skip-finished'));
      const program = [`/usr/bin/${shell}`, `/bin/${shell}`].find(existsSync);
      if (program === undefined) return this.skip();
      execFileSync(program, [...check, file(`completion.${shell}`, stdout)]);
    });
  }
});
