import assert from 'node:assert/strict';
import { Ajv } from 'ajv';
import fc, { type Arbitrary } from 'fast-check';
import { jsonSchema, parseTask, TASK_SHAPE, type Shape } from '../../../src/task';

/**
 * What only our check knows: grammars inside texts, rules between fields, names, and values that are handed to the job
 * as Python spells them. Everything else must be the same for both.
 */
const STRICTER = new Set([
  'bad-accelerator',
  'bad-count',
  'bad-cpus',
  'bad-env-name',
  'bad-infra',
  'bad-memory',
  'bad-name',
  'bad-path',
  'bad-port',
  'bad-secret',
  'exclusive-fields',
]);
/** Checks in a grammar that share their code with the schema's own. */
const GRAMMAR_VALUES = /`disk_tier`|local disk/;

const seed = Number(process.env.FC_SEED ?? Date.now() % 1_000_000_000);

const anyText = fc.constantFrom(
  'a',
  'V100:4',
  '4+',
  '16GB',
  'two words',
  'true',
  '7',
  'ssh/pool',
  'MOUNT',
  '10m',
  '',
);
const anyScalar: Arbitrary<unknown> = fc.oneof(
  anyText,
  fc.integer({ min: -2000, max: 2000 }),
  fc.double({ min: -5, max: 5, noNaN: true }),
  fc.boolean(),
  fc.constant(null),
);
const anything: Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: anyScalar },
  { weight: 1, arbitrary: fc.array(anyScalar, { maxLength: 2 }) },
  {
    weight: 1,
    arbitrary: fc.dictionary(fc.constantFrom('a', 'b', 'path', 'url', 'name'), anyScalar, { maxKeys: 2 }),
  },
);

/** Values that mostly fit a shape, and now and then anything else. */
function valuesOf(shape: Shape, depth: number): Arbitrary<unknown> {
  if (depth > 4) return anyScalar;
  return fc.oneof({ weight: 9, arbitrary: fitting(shape, depth) }, { weight: 1, arbitrary: anything });
}

function fitting(shape: Shape, depth: number): Arbitrary<unknown> {
  switch (shape.type) {
    case 'any':
      return anything;
    case 'union':
      return fc.oneof(...shape.of.map((one) => valuesOf(one, depth)));
    case 'list':
      return fc.array(valuesOf(shape.items, depth + 1), { maxLength: 3 });
    case 'dict':
      return fc.dictionary(fc.constantFrom('A', 'B', '~/x', '/y'), valuesOf(shape.values, depth + 1), {
        maxKeys: 2,
      });
    case 'object': {
      const names = Object.keys(shape.fields);
      const entry = fc.constantFrom(...names).chain((name) => {
        const field = shape.fields[name];
        return fc.tuple(fc.constant(name), field ? valuesOf(field.shape, depth + 1) : anything);
      });
      const odd = fc.tuple(fc.constantFrom('unknown', 'reources'), anyScalar);
      const entries = fc.array(fc.oneof({ weight: 25, arbitrary: entry }, { weight: 1, arbitrary: odd }), {
        maxLength: 4,
      });
      return entries.map((pairs) => Object.fromEntries(pairs));
    }
    case 'string':
      return shape.oneOf
        ? fc.constantFrom(...shape.oneOf, ...shape.oneOf.map((one) => one.toUpperCase()))
        : anyText;
    case 'boolean':
      return fc.boolean();
    default:
      return fc.integer({ min: (shape.min ?? -5) - 1, max: (shape.max ?? 20) + 1 });
  }
}

describe(`a random document (seed ${seed})`, () => {
  const validate = new Ajv({ strict: false, allErrors: true }).compile(jsonSchema());

  it('has the same verdict from the check and from the JSON schema, but for the grammars', () => {
    let [right, wrong] = [0, 0];
    fc.assert(
      fc.property(valuesOf(TASK_SHAPE, 0), (value) => {
        fc.pre(typeof value === 'object' && value !== null && !Array.isArray(value));
        // JSON is YAML; exponents are not what PyYAML takes for numbers.
        const text = JSON.stringify(value, null, 1);
        fc.pre(!/\de[-+]?\d/.test(text) && !('execution' in value));
        const errors = parseTask(text).problems.filter(
          ({ severity, code, message }) =>
            severity === 'error' && !STRICTER.has(code) && !GRAMMAR_VALUES.test(message),
        );
        const theirs = validate(value);
        if (theirs) right += 1;
        else wrong += 1;
        assert.equal(
          errors.length === 0,
          theirs,
          `${text}\nours: ${JSON.stringify(errors)}\nschema: ${JSON.stringify(validate.errors)}`,
        );
      }),
      { seed, numRuns: 3000 },
    );
    assert.ok(right > 200 && wrong > 200, `${right} right and ${wrong} wrong documents were tried`);
  }).timeout(60_000);
});
