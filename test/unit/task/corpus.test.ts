import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { looksLikeTask, parseTask } from '../../../src/task';

const corpus = path.resolve('..', 'shared', 'corpus');

function filesIn(folder: string): { name: string; text: string }[] {
  const full = path.join(corpus, folder);
  if (!fs.existsSync(full)) return [];
  return fs.readdirSync(full).map((name) => ({ name, text: fs.readFileSync(path.join(full, name), 'utf8') }));
}

describe('real files', () => {
  const tasks = filesIn('tasks');
  const others = filesIn('other');

  before(function () {
    if (tasks.length > 0) return;
    console.log('      (skipped: the corpus of real task files is not beside this repository)');
    this.skip();
  });

  for (const { name, text } of tasks) {
    it(`finds no error in the task ${name}`, () => {
      const { task, problems } = parseTask(text);
      assert.deepEqual(
        problems.filter(({ severity }) => severity === 'error'),
        [],
      );
      assert.ok(task);
    });

    it(`recognises the task ${name} without help from its name`, () => {
      assert.ok(looksLikeTask(text, 'any.yaml'));
    });
  }

  for (const { name, text } of others) {
    it(`never takes ${name} for a task`, () => {
      assert.equal(looksLikeTask(text, name), false);
    });
  }
});
