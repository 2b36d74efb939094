import assert from 'node:assert/strict';
import { parseTask, type Problem } from '../../../src/task';

/** Problems as `severity code <text they cover>`. */
function seen(text: string): string[] {
  return parseTask(text).problems.map(
    ({ severity, code, start, end }) => `${severity} ${code} <${text.slice(start, end)}>`,
  );
}

function taskOf(text: string) {
  const { task, problems } = parseTask(text);
  assert.ok(task, JSON.stringify(problems));
  return task;
}

/** The text after the only fix of the only error. */
function fixed(text: string): string {
  const errors = parseTask(text).problems.filter((problem: Problem) => problem.severity === 'error');
  assert.equal(errors.length, 1, JSON.stringify(errors));
  const fix = errors[0]?.fixes?.[0];
  assert.ok(fix, 'has a fix');
  return text.slice(0, fix.start) + fix.text + text.slice(fix.end);
}

const EXAMPLE = `name: train
workdir: .
num_nodes: 2
resources:
  accelerators: V100:4
  cpus: 8+
  memory: 64GB
  infra: ssh/mycluster
  priority: 5
envs:
  MODEL: resnet # the model
  LR: 1e-3
  DEBUG: yes
  EPOCHS: 010
  OPEN:
secrets: {TOKEN: null}
file_mounts:
  ~/data: ./data
setup: |
  pip install -r requirements.txt
run: |
  python train.py \\
    --model $MODEL
`;

describe('parseTask', () => {
  it('honours the restarts after errors of job_recovery, and says that strategies have no effect', () => {
    const recovery = (value: string): string => `resources: {job_recovery: ${value}}\nrun: echo`;
    assert.equal(taskOf(recovery('{max_restarts_on_errors: 3}')).retries, 3);
    assert.deepEqual(seen(recovery('{max_restarts_on_errors: 3}')), []);
    assert.deepEqual(seen(recovery('none')), []);
    assert.deepEqual(seen(recovery('FAILOVER')), ['information no-effect <job_recovery>']);
    assert.deepEqual(seen(recovery('{strategy: FAILOVER}')), ['information no-effect <strategy>']);
  });

  it('reads a whole file', () => {
    assert.deepEqual(taskOf(EXAMPLE), {
      name: 'train',
      workdir: '.',
      numNodes: 2,
      resources: [
        {
          accelerator: { name: 'V100', count: 4 },
          cpus: { amount: 8, atLeast: true },
          memoryMiB: { amount: 65536, atLeast: false },
          infra: 'ssh/mycluster',
        },
      ],
      ordered: false,
      priority: 5,
      // As PyYAML has it: no exponent without a point, yes is True, a leading 0 is octal.
      envs: { MODEL: 'resnet', LR: '1e-3', DEBUG: 'True', EPOCHS: '8', OPEN: null },
      secrets: { TOKEN: null },
      fileMounts: { '~/data': './data' },
      setup: 'pip install -r requirements.txt\n',
      run: 'python train.py \\\n  --model $MODEL\n',
    });
    assert.deepEqual(seen(EXAMPLE), [
      'information asks-for-value <OPEN>',
      'information asks-for-value <TOKEN>',
    ]);
  });

  it('reads the same with CRLF, a byte order mark and a flow style', () => {
    assert.deepEqual(taskOf(EXAMPLE.replaceAll('\n', '\r\n')), taskOf(EXAMPLE));
    assert.deepEqual(taskOf(`\uFEFF${EXAMPLE}`), taskOf(EXAMPLE));
    assert.deepEqual(taskOf('{name: a, resources: {accelerators: {V100: 4}}, run: echo}').resources, [
      { accelerator: { name: 'V100', count: 4 } },
    ]);
  });

  it('gives ranges in UTF-16 units, also after text that is not ASCII', () => {
    assert.deepEqual(seen('# 日本語 😀\nname: ab\nrunn: echo\n'), ['error unknown-field <runn>']);
    assert.deepEqual(seen('\uFEFFrunn: echo\n'), ['error unknown-field <runn>']);
  });

  it('takes an empty file for a task that does nothing', () => {
    assert.equal(taskOf('').numNodes, 1);
    assert.deepEqual(taskOf('# only a comment\n').resources, [{}]);
    assert.equal(taskOf('setup:\nrun:\nresources:\n').run, undefined);
  });

  it('resolves anchors, aliases and merge keys', () => {
    const task = taskOf(
      'resources: &r\n  cpus: 4\n  any_of:\n    - {accelerators: V100}\n    - {<<: {memory: 8}, cpus: 2}\nrun: x\n',
    );
    assert.deepEqual(task.resources, [
      { accelerator: { name: 'V100', count: 1 }, cpus: { amount: 4, atLeast: false } },
      { cpus: { amount: 2, atLeast: false }, memoryMiB: { amount: 8192, atLeast: false } },
    ]);
    assert.deepEqual(taskOf('envs: &e {A: 1}\nsecrets: *e\n').secrets, { A: '1' });
  });

  it('keeps the order of a list of accelerators, and only of a list', () => {
    const names = (text: string) => taskOf(text).resources.map(({ accelerator }) => accelerator?.name);
    assert.deepEqual(names('resources: {accelerators: [L4:1, V100]}'), ['L4', 'V100']);
    assert.equal(taskOf('resources: {accelerators: [L4:1, V100]}').ordered, true);
    assert.deepEqual(names('resources: {accelerators: {L4:1, V100:2}}'), ['L4', 'V100']);
    assert.equal(taskOf('resources: {accelerators: {L4:1, V100:2}}').ordered, false);
    assert.equal(taskOf('resources: {ordered: [{gpus: L4}, {gpus: V100}]}').ordered, true);
    assert.equal(taskOf('resources: {any_of: [{gpus: L4}, {gpus: V100}]}').ordered, false);
  });

  it('lays alternatives over the fields beside them', () => {
    const { resources } = taskOf(
      'resources:\n  cpus: 4\n  gpus: {V100: 1, L4: 2}\n  any_of: [{cpus: 8}, {memory: 2x}]\n',
    );
    assert.equal(resources.length, 4);
    assert.deepEqual(resources[0], {
      accelerator: { name: 'V100', count: 1 },
      cpus: { amount: 8, atLeast: false },
    });
    assert.deepEqual(resources[3]?.memoryMiB, { amount: 2, atLeast: false, perCpu: true });
  });

  it('reads what an env is for the job as Python spells it', () => {
    const { envs } = taskOf(
      'envs: {A: 1.0, B: [1, a], C: {b: null}, D: 1e+22, E: 1.0e+22, F: 2020-01-01, G: 1:30, H: .5}',
    );
    assert.deepEqual(envs, {
      A: '1.0',
      B: "[1, 'a']",
      C: "{'b': None}",
      D: '1e+22',
      E: '1e+22',
      F: '2020-01-01',
      G: '90',
      H: '0.5',
    });
  });

  it('takes the first task of a pipeline and says that exec wants one', () => {
    const text = 'name: pipe\n---\nname: one\nrun: a\n---\n# nothing\n---\nname: two\nrun: b\n';
    assert.equal(taskOf(text).name, 'one');
    assert.equal(parseTask(text).taskCount, 2);
    assert.deepEqual(seen(text), ['warning several-tasks <name>']);
    assert.equal(taskOf('name: pipe\n---\nname: one\nrun: a\n').name, 'one');
    assert.equal(taskOf('name: only\n').name, 'only');
    assert.deepEqual(seen('name: g\nexecution: parallel\n---\nname: a\nrun: x\n'), [
      'warning job-group <execution>',
    ]);
    assert.deepEqual(seen('name: g\nexecution: both\n---\nname: a\nrun: x\n'), ['error bad-value <both>']);
  });

  it('finds the errors of every document', () => {
    assert.deepEqual(seen('name: a b\nrun: x\n---\nname: c\nnum_nodes: no\n'), [
      'error bad-name <a b>',
      'warning several-tasks <name>',
      'error wrong-type <no>',
    ]);
  });

  it('points at the token of each defect and goes on', () => {
    assert.deepEqual(
      seen(
        'name: a--- \nnum_nodes: 0\nresources:\n  acelerators: V100\n  cpus: four\n  any_of: [{gpus: V100:x}]\nenvs: {a-b: 1}\nname: x\n',
      ),
      [
        'error bad-name <a--->',
        'error out-of-range <0>',
        'error unknown-field <acelerators>',
        'error bad-cpus <four>',
        'error bad-accelerator <V100:x>',
        'error bad-env-name <a-b>',
        'error duplicate-key <name>',
      ],
    );
  });

  it('goes on after a syntax error', () => {
    assert.deepEqual(seen('name: "abc\nnum_nodes: two\nresources:\n\tcpus: 4\nrunn: echo\n'), [
      'error unclosed-quote <"abc>',
      'error wrong-type <two>',
      'error tab <\t>',
      'error unknown-field <runn>',
    ]);
  });

  it('offers what was meant', () => {
    assert.equal(fixed('reources:\n  cpus: 4\n'), 'resources:\n  cpus: 4\n');
    assert.equal(fixed('resources: {use_spott: true}'), 'resources: {use_spot: true}');
    assert.equal(fixed('name: 123\n'), 'name: "123"\n');
    assert.equal(fixed('num_nodes: "2"\n'), 'num_nodes: 2\n');
    assert.equal(fixed('num_nodes:2\nname: x'), 'num_nodes: 2\nname: x');
    assert.equal(fixed('run: echo a: b\n'), 'run: "echo a: b"\n');
    assert.equal(fixed('resources:\n  accelerators: V100: 4\n'), 'resources:\n  accelerators: V100:4\n');
    assert.equal(fixed('resources:\n\tcpus: 4\n\tmemory: 8\n'), 'resources:\n  cpus: 4\n  memory: 8\n');
    assert.equal(fixed('file_mounts: {~/a: ./b/}'), 'file_mounts: {~/a: ./b}');
    assert.equal(fixed('resources: {memory: 16G}'), 'resources: {memory: 16GB}');
  });

  it('takes tabs where libyaml, and so SkyPilot, does, and points at them where it does not', () => {
    for (const text of ['name:\tabc\n', 'resources:\t\n  cpus:\t4\n', 'resources: {cpus:\t4,\tgpus: L4}\n'])
      assert.deepEqual(seen(text), [], text);
    assert.deepEqual(seen('resources:\n  gpus:\n    -\tL4\n    - \tV100\n'), [
      'error tab <\t>',
      'error tab <\t>',
    ]);
    assert.deepEqual(seen('resources:\n  any_of:\n  -\tcpus: 4\n  - cpus: x\n'), [
      'error tab <\t>',
      'error bad-cpus <x>',
    ]);
    assert.equal(fixed('resources:\n  gpus:\n    -\tL4\n'), 'resources:\n  gpus:\n    - L4\n');
    assert.equal(fixed('resources:\n  any_of:\n  -\tcpus: 4\n'), 'resources:\n  any_of:\n  - cpus: 4\n');
  });

  it('says that a script is indented with tabs', () => {
    for (const text of [
      'run: |\n\tif x; then\n\t\ty\n\tfi\nname: a\n',
      'name: a\nrun: |\n\techo\n',
      'run: |\n  a\n\tb\nname: a\n',
      'run: |\r\n\techo\r\n\techo\r\nname: a\r\n',
    ])
      assert.deepEqual(seen(text), ['error tab <\t>'], JSON.stringify(text));
    assert.equal(
      fixed('run: |\n\tif x; then\n\t\ty\n\tfi\nname: a\n'),
      'run: |\n  if x; then\n    y\n  fi\nname: a\n',
    );
  });

  it('puts into words of its own what stands behind a field by mistake', () => {
    const said = (text: string): string[] => parseTask(text).problems.map(({ message }) => message);
    const AFTER_BAR =
      'Nothing may follow `|` or `>` on its line: the text goes on the lines below, indented.';
    assert.deepEqual(said('run: | echo a\n'), [AFTER_BAR]);
    assert.deepEqual(said('run: > echo a\n  echo b\nname: x\n'), [AFTER_BAR]);
    assert.deepEqual(said('resources: - V100\n'), [
      'A list begins on the line below its field, or is written in brackets: `[a, b]`.',
    ]);
    assert.deepEqual(said('run: `date`\n'), ['A value that starts with a backtick must be in quotes.']);
    assert.deepEqual(said('- run: a\n'), [
      'A task file is fields with their values, such as `run: python train.py`; this is a list.',
    ]);
    assert.deepEqual(said('python train.py\n'), [
      'A task file is fields with their values, such as `run: python train.py`; this is a text.',
    ]);
  });

  it('says where a field belongs that stands at the wrong level', () => {
    const said = (text: string): string[] => parseTask(text).problems.map(({ message }) => message);
    assert.deepEqual(said('accelerators: V100:4\ncpus: 4\nrun: a\n'), [
      '`accelerators` is a field of `resources`: write it there, indented.',
      '`cpus` is a field of `resources`: write it there, indented.',
    ]);
    assert.deepEqual(said('resources:\n  num_nodes: 2\n  any_of:\n    - run: x\n'), [
      '`num_nodes` is a field of the task: write it at the top level, without indentation.',
      '`run` is a field of the task: write it at the top level, without indentation.',
    ]);
    assert.deepEqual(said('_metadata: {}\n_no_missing_accel_warnings: true\n'), [
      '`_no_missing_accel_warnings` is not a field of a task.',
    ]);
  });

  it('does not offer quotes where they would make an accelerator of a number', () => {
    for (const text of [
      'resources: {gpus: 4}',
      'resources: {accelerators: [4]}',
      'resources: {any_of: [{gpus: 0.5}]}',
    ]) {
      const [only, ...more] = parseTask(text).problems;
      assert.deepEqual([only?.code, only?.fixes, more], ['wrong-type', undefined, []], text);
      assert.match(only?.message ?? '', /a number alone|the number/);
    }
    assert.match(parseTask('resources: {gpus: 4}').problems[0]?.message ?? '', /`V100:4`/);
  });

  it('says what is wrong with a name: its length, or that letters are those of ASCII', () => {
    const flaw = (text: string) => parseTask(text).problems[0];
    const long = flaw(`name: ${'a'.repeat(300)}\n`);
    assert.equal(long?.message, 'A task name has at most 256 characters; this one has 300.');
    assert.equal(long.fixes?.[0]?.title, `Write \`${'a'.repeat(60)}…\``);
    assert.match(flaw('envs: {größe: 1}\n')?.message ?? '', /ASCII letters/);
    assert.equal(flaw('envs: {größe: 1}\n')?.fixes?.[0]?.text, 'gr__e');
    assert.equal(flaw('envs: {жж: 1}\n')?.fixes, undefined);
  });

  it('warns of what SkyPilot takes but nobody means', () => {
    assert.deepEqual(seen('resources: {accelerators: 4xV100}'), ['warning count-before-name <4xV100>']);
    assert.deepEqual(seen('resources: {accelerators: "V100 :8"}'), ['warning stray-space <"V100 :8">']);
    assert.deepEqual(seen('resources: {accelerators: A100-MIG-3g.20gb:2}'), [
      'warning several-slices <A100-MIG-3g.20gb:2>',
    ]);
    assert.deepEqual(seen('resources: {accelerators: 3g.20gb}'), []);
    assert.deepEqual(seen('envs: {NO: 1}'), ['warning name-not-text <NO>']);
    assert.deepEqual(taskOf('resources: {accelerators: "V100 :8"}').resources, [
      { accelerator: { name: 'V100', count: 8 } },
    ]);
  });

  it('says which fields have no effect on an SSH cluster, never as an error', () => {
    const text =
      'resources:\n  use_spot: true\n  infra: aws\n  region:\nservice: {replicas: 1}\nfile_mounts: {/d: cos://bucket, /e: s3://b, /f: {source: s3://b}, /g: {source: s3://b, mode: COPY}}\nrun: x\n';
    assert.deepEqual(
      parseTask(text)
        .problems.filter(({ noEffect, severity }) => noEffect === true && severity === 'information')
        .map(({ start, end }) => text.slice(start, end)),
      ['use_spot', 'infra', 'service', '/d', '/f'],
    );
    assert.ok(parseTask(text).task);
    assert.deepEqual(seen('resources: {infra: ssh/pool, accelerators: V100}'), []);
    assert.deepEqual(seen('resources: {infra: "*"}'), []);
  });

  it('refuses fields that exclude each other, at the later one', () => {
    assert.deepEqual(seen('resources: {gpus: V100, accelerators: V100}'), [
      'error exclusive-fields <accelerators>',
    ]);
    assert.deepEqual(seen('resources: {any_of: [], ordered: []}'), ['error exclusive-fields <ordered>']);
    assert.deepEqual(seen('resources: {any_of: [{cpus: 2}], gpus: [A, B]}'), [
      'error exclusive-fields <any_of>',
    ]);
    assert.deepEqual(seen('resources: {any_of: [{priority: 1}, {priority: 2}]}'), [
      'error exclusive-fields <2>',
    ]);
    assert.deepEqual(seen('workdir: .\nfile_mounts: {~/sky_workdir: x}'), [
      'error exclusive-fields <~/sky_workdir>',
    ]);
    assert.deepEqual(seen('run: |\n  # cd ~/sky_workdir\n  cd ${HOME}/sky_workdir/src\n'), [
      'information no-sky-workdir <run>',
    ]);
    assert.deepEqual(seen('run: |\n  # cd ~/sky_workdir\n  ls ~/sky_workdirs\n'), []);
    assert.deepEqual(
      seen('resources:\n  region: x\n  infra: ssh\n').filter((line) => line.startsWith('error')),
      ['error exclusive-fields <infra>'],
    );
  });

  it('refuses a NUL, which no node can be sent, at its token', () => {
    for (const text of [
      'run: <"\\0">',
      'setup: <"a\\x00">',
      'envs: {A: <"\\0">}',
      'secrets: {A: <"x\\u0000y">}',
      'secrets: {<"A\\0">: x}',
      'workdir: <"a\\0">',
      'workdir: {url: <"a\\0">, ref: <"\\0">}',
      'file_mounts: {/a: <"\\0">, <"/\\0">: b}',
    ]) {
      const tokens = [...text.matchAll(/<([^>]*)>/g)].map(([, token = '']) => token);
      assert.deepEqual(
        seen(`${text.replace(/[<>]/g, '')}\n`),
        tokens.map((token) => `error nul-character <${token}>`),
        text,
      );
    }
    assert.deepEqual(taskOf('envs: {A: ["\\0"]}').envs, { A: String.raw`['\x00']` });
  });

  it('says what took the place of a field that SkyPilot removed', () => {
    assert.deepEqual(seen('experimental: {}\n'), ['error removed-field <experimental>']);
  });

  it('says where hooks belong, and takes them there without effect', () => {
    const hooks = 'hooks: [{run: echo, events: [stop, preemption], timeout: 60}]';
    for (const text of [`resources: {${hooks}}`, `resources: {any_of: [{${hooks}}]}`]) {
      assert.deepEqual(seen(text), ['error unknown-field <hooks>']);
      assert.match(parseTask(text).problems[0]?.message ?? '', /`config\.hooks`, at the top level/);
    }
    assert.deepEqual(seen(`config: {${hooks}}`), ['information no-effect <config>']);
    assert.deepEqual(seen('config: {hooks: [{run: echo, events: [up]}]}'), [
      'information no-effect <config>',
      'error bad-value <up>',
    ]);
  });

  it('takes values of envs where SkyPilot puts them in', () => {
    assert.deepEqual(
      seen('envs: {S: s3}\nfile_mounts: {/a: {store: "${S}"}}').filter((line) => line.startsWith('error')),
      [],
    );
  });

  it('is not misled by names of object members', () => {
    assert.deepEqual(seen('constructor: 1\n'), ['error unknown-field <constructor>']);
    assert.deepEqual(seen('__proto__: 1\nresources: {toString: 1}\n'), [
      'error unknown-field <__proto__>',
      'error unknown-field <toString>',
    ]);
    assert.deepEqual(Object.keys(taskOf('envs: {__proto__: a}').envs), ['__proto__']);
  });
});
