import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import {
  FIELDS,
  jsonSchema,
  parseTask,
  PROBLEM_CODES,
  referencePage,
  RESOURCE_FIELDS,
} from '../../../src/task';

const HINT = 'out of date: npx esbuild scripts/schema.ts --bundle --platform=node | node';

describe('what is made from the table of fields', () => {
  it('is the JSON schema that is shipped', () => {
    const shipped: unknown = JSON.parse(
      fs.readFileSync(path.resolve('media', 'cluster-task.schema.json'), 'utf8'),
    );
    // Through JSON, as the file is.
    assert.deepEqual(shipped, JSON.parse(JSON.stringify(jsonSchema())), HINT);
  });

  it('is the reference page', () => {
    assert.equal(fs.readFileSync(path.resolve('docs', 'task-yaml.md'), 'utf8'), referencePage(), HINT);
  });

  it('has an example for every field, and each is right', () => {
    for (const [table, indent] of [
      [FIELDS, ''],
      [RESOURCE_FIELDS, '  '],
    ] as const) {
      for (const [name, { example, internal, doc }] of Object.entries(table)) {
        if (internal) continue;
        assert.match(example, new RegExp(`^${name}:`));
        assert.match(doc, /\.$/, name);
        const text = indent === '' ? `${example}\n` : `resources:\n${example.replace(/^/gm, indent)}\n`;
        const errors = parseTask(text).problems.filter(({ severity }) => severity === 'error');
        assert.deepEqual(errors, [], text);
      }
    }
  });

  it('names every code that the check uses', () => {
    const known = new Set<string>(Object.keys(PROBLEM_CODES));
    const folder = path.resolve('src', 'task');
    const used = new Set<string>();
    for (const file of fs.readdirSync(folder)) {
      const source = fs.readFileSync(path.join(folder, file), 'utf8');
      const calls =
        /(?:error|report|refuse|defect|flaw)\(\s*(?:[^'"`]*?,\s*)?'([a-z]+(?:-[a-z]+)*)'|code: '([a-z]+(?:-[a-z]+)*)'/g;
      for (const [, inCall, inObject] of source.matchAll(calls)) used.add(inCall ?? inObject ?? '');
    }
    const severities = new Set(['warning', 'information', 'error', 'scalar']);
    assert.deepEqual(
      [...used].filter((code) => !known.has(code) && !severities.has(code)),
      [],
    );
    assert.ok(used.size > 30);
  });
});
