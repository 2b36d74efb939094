import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseTask } from '../../../src/task';

/** A file with one defect, and where that is. */
interface Broken {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly code: string;
}

/** A defect: what it needs to find in a good file, what to put there, and which part of that is wrong. */
interface Mutation {
  readonly code: string;
  readonly find: RegExp;
  readonly put: string;
  /** The wrong part of `put`; all of it when absent. */
  readonly wrong?: string;
}

const MUTATIONS: readonly Mutation[] = [
  { code: 'unknown-field', find: /^resources(?=:)/m, put: 'resorces' },
  { code: 'unknown-field', find: /^num_nodes(?=:)/m, put: 'num-nodes' },
  { code: 'unknown-field', find: /^run(?=:)/m, put: 'command' },
  { code: 'unknown-field', find: /accelerators(?=: V100)/, put: 'accelarators' },
  { code: 'unknown-field', find: /memory(?=:)/, put: 'mem' },
  { code: 'unknown-field', find: /^ {2}cpus(?=:)/m, put: '  CPUs', wrong: 'CPUs' },
  { code: 'removed-field', find: /^envs:/m, put: 'experimental: {}\nenvs:', wrong: 'experimental' },
  { code: 'duplicate-key', find: /^ {2}SEED: 42/m, put: '  SEED: 42\n  SEED: 43', wrong: '\n  SEED' },
  { code: 'duplicate-key', find: /^ {2}MODEL: \w+/m, put: '  MODEL: a\n  MODEL: b', wrong: '\n  MODEL' },
  { code: 'wrong-type', find: /(?<=^num_nodes: )\d+/m, put: 'two' },
  { code: 'wrong-type', find: /(?<=^num_nodes: )\d+/m, put: '"2"' },
  { code: 'wrong-type', find: /(?<=^num_nodes: )\d+/m, put: 'true' },
  { code: 'wrong-type', find: /(?<=^num_nodes: )\d+/m, put: '1.5' },
  { code: 'wrong-type', find: /(?<=^num_nodes: )\d+/m, put: '2.0' },
  { code: 'out-of-range', find: /(?<=^num_nodes: )\d+/m, put: '0' },
  { code: 'out-of-range', find: /(?<=^num_nodes: )\d+/m, put: '-3' },
  { code: 'bad-name', find: /(?<=^name: )\S+/m, put: 'my task' },
  { code: 'bad-name', find: /(?<=^name: )\S+/m, put: 'a---b' },
  { code: 'bad-name', find: /(?<=^name: )\S+/m, put: 'größe' },
  { code: 'wrong-type', find: /(?<=^name: )\S+/m, put: '2024' },
  { code: 'wrong-type', find: /(?<=^name: )\S+/m, put: 'yes' },
  { code: 'bad-accelerator', find: /(?<=accelerators: )V100:\d/, put: 'V100:x' },
  { code: 'nested-mapping', find: /(?<=accelerators: )V100:\d/, put: 'V100:' },
  { code: 'bad-accelerator', find: /(?<=accelerators: )V100:\d/, put: 'V100:1,A100:1' },
  { code: 'bad-accelerator', find: /(?<=accelerators: )V100:\d/, put: ':4' },
  { code: 'bad-count', find: /(?<=accelerators: )V100:\d/, put: 'V100:0' },
  { code: 'bad-count', find: /(?<=accelerators: )V100:\d/, put: 'V100:-1' },
  { code: 'bad-count', find: /(?<=accelerators: )V100:\d/, put: 'V100:2.5' },
  { code: 'bad-count', find: /(?<=accelerators: )V100:\d/, put: '{V100: 0}', wrong: ' 0' },
  { code: 'wrong-type', find: /(?<=accelerators: )V100:\d/, put: '{V100: four}', wrong: 'four' },
  { code: 'wrong-type', find: /(?<=accelerators: )V100:\d/, put: '8' },
  { code: 'empty-value', find: /(?<=accelerators: )V100:\d/, put: '{}' },
  { code: 'empty-value', find: /(?<=accelerators: )V100:\d/, put: '[]' },
  { code: 'wrong-type', find: /(?<=accelerators: )V100:\d/, put: '[V100: 1]', wrong: 'V100: 1' },
  { code: 'nested-mapping', find: /(?<=accelerators: )V100:\d/, put: 'V100: 4' },
  { code: 'bad-cpus', find: /(?<=cpus: )\S+/, put: '4cores' },
  { code: 'bad-cpus', find: /(?<=cpus: )\S+/, put: '0' },
  { code: 'wrong-type', find: /(?<=cpus: )\S+/, put: '[4]' },
  { code: 'bad-memory', find: /(?<=memory: )\S+/, put: '16G' },
  { code: 'bad-memory', find: /(?<=memory: )\S+/, put: '16GiB' },
  { code: 'bad-memory', find: /(?<=memory: )\S+/, put: 'lots' },
  { code: 'bad-infra', find: /^ {2}cpus:/m, put: '  infra: mycloud\n  cpus:', wrong: 'mycloud' },
  { code: 'out-of-range', find: /^ {2}cpus:/m, put: '  priority: 5000\n  cpus:', wrong: '5000' },
  { code: 'bad-port', find: /^ {2}cpus:/m, put: '  ports: [80, 99999]\n  cpus:', wrong: '99999' },
  { code: 'bad-value', find: /^ {2}cpus:/m, put: '  disk_tier: fast\n  cpus:', wrong: 'fast' },
  { code: 'bad-value', find: /^ {2}cpus:/m, put: '  autostop: 5 minutes\n  cpus:', wrong: '5 minutes' },
  { code: 'exclusive-fields', find: /^ {2}cpus:/m, put: '  gpus: L4\n  cpus:', wrong: 'gpus' },
  { code: 'bad-env-name', find: /^ {2}MODEL(?=:)/m, put: '  MY-MODEL', wrong: 'MY-MODEL' },
  { code: 'bad-env-name', find: /^ {2}MODEL(?=:)/m, put: '  1ST', wrong: '1ST' },
  { code: 'bad-path', find: /(?<=~\/data: )\S+/, put: './data/' },
  { code: 'wrong-type', find: /(?<=~\/data: )\S+/, put: '7' },
  { code: 'wrong-type', find: /(?<=^run: )\|(?:\n {2}.*)+/m, put: '[python, train.py]' },
  { code: 'wrong-type', find: /(?<=^workdir: )\S+/m, put: '5' },
  { code: 'missing-field', find: /(?<=^workdir: )\S+/m, put: '{ref: main}', wrong: 'ref' },
  { code: 'unclosed-quote', find: /(?<=^name: )\S+/m, put: '"train' },
  { code: 'unclosed-quote', find: /(?<=MODEL: )\w+/, put: "'resnet" },
  { code: 'unclosed-bracket', find: /(?<=accelerators: )V100:\d/, put: '[V100:1, L4' },
  { code: 'unexpected-bracket', find: /(?<=accelerators: )V100:\d/, put: '[V100:1] ]', wrong: ' ]' },
  { code: 'tab', find: /^ {2}(?=cpus)/m, put: '\t' },
  { code: 'tab', find: /(?<=accelerators: )V100:\d/, put: '\n    -\tV100:1', wrong: '\t' },
  { code: 'missing-space', find: /^num_nodes: \d+/m, put: 'num_nodes:2' },
  { code: 'missing-colon', find: /^num_nodes: \d+/m, put: 'num_nodes' },
  { code: 'not-a-field', find: /^num_nodes: \d+/m, put: 'two nodes' },
  { code: 'bad-indentation', find: /^ {2}cpus/m, put: '   cpus' },
  { code: 'bad-indentation', find: /^ {2}cpus/m, put: ' cpus' },
  { code: 'bad-indentation', find: /^num_nodes/m, put: '  num_nodes' },
  { code: 'bad-start', find: /(?<=^name: )\S+/m, put: '@train' },
  { code: 'bad-start', find: /(?<=MODEL: )\w+/, put: '`resnet`' },
  { code: 'unknown-alias', find: /(?<=MODEL: )\w+/, put: '*resnet' },
  { code: 'unknown-tag', find: /(?<=MODEL: )\w+/, put: '!model resnet', wrong: '!model' },
  { code: 'bad-escape', find: /(?<=MODEL: )\w+/, put: '"res\\net\\q"', wrong: '\\q' },
  { code: 'control-character', find: /(?<=MODEL: )\w+/, put: 'res\u0007net', wrong: '\u0007' },
  { code: 'unexpected-text', find: /(?<=MODEL: )\w+/, put: '"res" net', wrong: 'net' },
];

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const comment = fc.constantFrom('', ' # note', ' # größer als 2', ' # 日本語 😀');

/** A good file with every field that the mutations look for, its blocks in any order. */
const goodFile = fc
  .record({
    name: word,
    model: fc.constantFrom('resnet', 'bert', 'gpt'),
    count: fc.integer({ min: 1, max: 8 }),
    nodes: fc.integer({ min: 1, max: 9 }),
    cpus: fc.constantFrom('4', '8+', '0.5', '"16"'),
    memory: fc.constantFrom('32', '64GB+', '2x'),
    comments: fc.array(comment, { minLength: 8, maxLength: 8 }),
    order: fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6, maxLength: 6 }),
    extra: fc.constantFrom(
      '',
      'secrets:\n  TOKEN: x\n',
      'setup: |\n  pip install torch\n\n  echo done\n',
      '\n# end\n',
    ),
    crlf: fc.boolean(),
  })
  .map(({ name, model, count, nodes, cpus, memory, comments, order, extra, crlf }) => {
    const note = (index: number) => comments[index] ?? '';
    const blocks = [
      `name: ${name}${note(0)}\nnum_nodes: ${nodes}${note(1)}\n`,
      `workdir: .${note(2)}\n`,
      `resources:${note(3)}\n  accelerators: V100:${count}${note(4)}\n  cpus: ${cpus}${note(5)}\n  memory: ${memory}\n`,
      `envs:\n  MODEL: ${model}${note(6)}\n  SEED: 42\n`,
      `file_mounts:\n  ~/data: ./data${note(7)}\n`,
      'run: |\n  python train.py\n  echo "done: it\'s"\n',
    ];
    const text = order.map((index) => blocks[index] ?? '').join('') + extra;
    return { text, crlf };
  });

function breakIt(good: string, { find, put, wrong, code }: Mutation): Broken {
  const match = find.exec(good);
  assert.ok(match, `${find.source} is in the file`);
  const part = wrong ?? put;
  const inside = put.indexOf(part);
  const visible = part.length - part.trimStart().length;
  // Leading white space is only the defect where nothing else is.
  const skip = part.trim() === '' ? 0 : visible;
  const start = match.index + inside + skip;
  const text = good.slice(0, match.index) + put + good.slice(match.index + match[0].length);
  return { text, start, end: match.index + inside + part.length, code };
}

/** The same file with Windows line ends. */
function withCrlf({ text, start, end, code }: Broken): Broken {
  const shifted = (offset: number) => offset + (text.slice(0, offset).match(/\n/g)?.length ?? 0);
  return { text: text.replaceAll('\n', '\r\n'), start: shifted(start), end: shifted(end), code };
}

const seed = Number(process.env.FC_SEED ?? Date.now() % 1_000_000_000);

describe(`a file with one defect (seed ${seed})`, () => {
  it('has no problem before it is broken', () => {
    fc.assert(
      fc.property(goodFile, ({ text, crlf }) => {
        const errors = parseTask(crlf ? text.replaceAll('\n', '\r\n') : text).problems;
        assert.deepEqual(errors, [], text);
      }),
      { seed, numRuns: 100 },
    );
  });

  for (const mutation of MUTATIONS) {
    it(`gives one error that covers it: ${mutation.code} ${JSON.stringify(mutation.put)}`, () => {
      fc.assert(
        fc.property(goodFile, ({ text: good, crlf }) => {
          const unix = breakIt(good, mutation);
          const { text, start, end, code } = crlf ? withCrlf(unix) : unix;
          const errors = parseTask(text).problems.filter(({ severity }) => severity === 'error');
          const said = errors.map((error) => ({ ...error, covers: text.slice(error.start, error.end) }));
          assert.equal(errors.length, 1, `${text}\n${JSON.stringify(said)}`);
          assert.deepEqual(
            errors.map((error) => error.code),
            [code],
            `${text}\n${JSON.stringify(said)}`,
          );
          const covers = errors.every((error) => error.start <= start && error.end >= end);
          assert.ok(
            covers,
            `wrong is ${JSON.stringify(text.slice(start, end))}\n${text}\n${JSON.stringify(said)}`,
          );
        }),
        { seed, numRuns: 10 },
      );
    });
  }
});
