import assert from 'node:assert/strict';
import {
  complete,
  fieldHelp,
  outline,
  parseTask,
  RESOURCE_FIELDS as RESOURCES,
  type Completion,
} from '../../../src/task';

const GPUS = [
  { name: 'V100', free: 3, total: 4 },
  { name: 'B200', free: 0, total: 1 },
];

/** Completions at the `|` of a text. */
function at(marked: string): Completion[] {
  const offset = marked.indexOf('¦');
  return complete(marked.replace('¦', ''), offset, GPUS);
}

function labels(marked: string): string[] {
  return at(marked).map(({ label }) => label);
}

/** The text after a completion is taken, with the first choice of each place of its snippet. */
function taken(marked: string, label: string): string {
  const item = at(marked).find((one) => one.label === label);
  assert.ok(item, `${label} is offered`);
  const plain = item.snippet
    .replace(/\$\{\d+\|([^,|]*)[^|]*\|\}/g, '$1')
    .replace(/\$\{\d+:([^}]*)\}/g, '$1')
    .replace(/\$\d+/g, '')
    .replace(/\\([\\$}])/g, '$1');
  const text = marked.replace('¦', '');
  // As VS Code does, lines of a snippet begin with the white space of the line they are put in.
  const indent = /[^\n]*$/.exec(text.slice(0, item.start))?.[0].match(/^\s*/)?.[0] ?? '';
  return text.slice(0, item.start) + plain.replaceAll('\n', `\n${indent}`) + text.slice(item.end);
}

describe('completion', () => {
  it('offers the fields of a task that are not there yet', () => {
    const names = labels('name: a\n¦\nrun: x\n');
    for (const name of ['resources', 'num_nodes', 'envs', 'setup']) assert.ok(names.includes(name), name);
    for (const name of ['name', 'run', '_metadata', 'cpus']) assert.ok(!names.includes(name), name);
    assert.deepEqual(labels('¦').slice(0, 3), ['name', 'workdir', 'num_nodes']);
  });

  it('knows what is there in a file with Windows line ends', () => {
    for (const text of [
      'name: a\n¦\nrun: x\nsetup: y\n',
      'resources:\n  ¦\n  memory: 8\n  accelerators: V100\nrun: x\n',
    ])
      assert.deepEqual(labels(text.replaceAll('\n', '\r\n')), labels(text), text);
  });

  it('offers no second name of a field that is there', () => {
    assert.ok(!labels('resources:\n  accelerators: V100\n  ¦\n').includes('gpus'));
    assert.ok(!labels('resources: {gpus: V100, ¦}\n').includes('accelerators'));
    assert.ok(!labels('resources:\n  any_of:\n    - ¦\n      gpus: V100\n').includes('accelerators'));
  });

  it('offers the fields of resources, also in alternatives and in a flow', () => {
    for (const text of [
      'resources:\n  ¦\n',
      'resources:\n  cpus: 4\n  acc¦\nrun: x\n',
      'resources:\n  any_of:\n    - ¦\n',
      'resources:\n  any_of:\n  - ¦\n',
      'resources:\n  any_of:\n    - cpus: 4\n      ¦\n',
      'resources:\n  ordered:\n    -\n      acc¦\n',
      'resources: {¦',
      'resources: {cpus: 4, acc¦}',
      'resources: {any_of: [{cpus: 4}, {¦',
      'resources: {any_of: [{cpus: 4}], ¦',
    ]) {
      assert.ok(labels(text).includes('accelerators'), text);
      assert.ok(!labels(text).includes('workdir'), text);
    }
    assert.ok(!labels('resources:\n  cpus: 4\n  ¦\n  memory: 8\n').includes('cpus'));
    assert.ok(!labels('resources:\n  cpus: 4\n  ¦\n  memory: 8\n').includes('memory'));
    assert.ok(labels('resources:\n  any_of:\n    - cpus: 4\n    - ¦\n').includes('cpus'));
    assert.ok(!labels('resources:\n  any_of:\n    - ¦\n').includes('any_of'));
  });

  it('offers the GPUs of the clusters first, with what is free', () => {
    for (const text of [
      'resources:\n  accelerators: ¦\n',
      'resources:\n  gpus: V1¦\n',
      'resources:\n  accelerators: [¦',
      'resources:\n  accelerators: [L4:1, ¦]\n',
      'resources:\n  accelerators:\n    - ¦\n',
      'resources:\n  accelerators: {¦}\n',
    ]) {
      const items = at(text);
      assert.deepEqual(
        items.slice(0, 2).map(({ label, detail }) => [label, detail]),
        [
          ['V100', '3 of 4 free'],
          ['B200', '0 of 1 free'],
        ],
        text,
      );
      assert.ok(items.some(({ label }) => label === 'H100'));
    }
    assert.equal(taken('resources:\n  gpus: V¦\n', 'V100'), 'resources:\n  gpus: V100:1\n');
  });

  it('offers values where a field has few', () => {
    assert.deepEqual(labels('resources:\n  use_spot: ¦\n'), ['true', 'false']);
    assert.deepEqual(labels('resources:\n  disk_tier: ¦\n'), ['low', 'medium', 'high', 'ultra', 'best']);
    assert.deepEqual(labels('service:\n  load_balancing_policy: ¦\n').length, 3);
    assert.deepEqual(labels('resources: {use_spot: ¦}'), ['true', 'false']);
  });

  it('offers nothing in scripts, comments, quotes and free names', () => {
    for (const text of [
      'run: |\n  ¦\n',
      'run: |\n  echo\n\n  num¦\n',
      'setup: >-\n  a\n    b¦\n',
      '# na¦\n',
      'name: a # ¦\n',
      'name: "¦\n',
      'envs:\n  ¦\n',
      'name: ¦\n',
      'envs:\n  A: ¦\n',
    ]) {
      assert.deepEqual(labels(text), [], text);
    }
  });

  it('leads on only to where something is offered', () => {
    for (const item of at('¦\n').concat(at('resources:\n  ¦\n'))) {
      if (!item.leadsOn) continue;
      const [before = ''] = item.snippet.split(/\$\d/);
      const text = item.label in RESOURCES ? `resources:\n  ${before.replaceAll('\n', '\n  ')}` : before;
      assert.notDeepEqual(labels(`${text}¦\n`), [], text);
    }
  });

  it('gives a file without errors when it is taken', () => {
    const places = ['¦\n', 'resources:\n  ¦\n', 'resources:\n  any_of:\n    - ¦\n', 'name: a\n---\n¦\n'];
    for (const place of places) {
      for (const label of labels(place)) {
        const text = taken(place, label);
        const errors = parseTask(text).problems.filter(
          ({ severity, code }) => severity === 'error' && !/type|name/.test(code),
        );
        assert.deepEqual(errors, [], text);
      }
    }
    assert.equal(taken('res¦\n', 'resources'), 'resources:\n  accelerators: \n');
    assert.equal(
      taken('resources:\n  any_of:\n    - lab¦\n', 'labels'),
      'resources:\n  any_of:\n    - labels:\n        \n',
    );
    assert.equal(taken('ru¦: x\n', 'run'), 'run: x\n');
  });
});

describe('help on hover', () => {
  const TEXT =
    'name: a\nresources:\n  accelerators: [V100:4]\n  any_of:\n    - {use_spot: true}\nenvs:\n  A: b\nrun: |\n  name: x\n';
  const titleAt = (word: string) => fieldHelp(TEXT, TEXT.indexOf(word) + 1)?.title;

  it('is there for each field, on its key and its value', () => {
    assert.equal(titleAt('name'), 'name');
    assert.equal(titleAt('resources'), 'resources');
    assert.equal(titleAt('accelerators'), 'resources.accelerators');
    assert.equal(titleAt('use_spot'), 'resources.any_of.use_spot');
    assert.equal(titleAt('true'), 'resources.any_of.use_spot');
    assert.equal(titleAt('run'), 'run');
    assert.equal(fieldHelp(TEXT, TEXT.length - 3)?.title, undefined);
  });

  it('says what it does, takes, and where SkyPilot documents it', () => {
    const help = fieldHelp(TEXT, TEXT.indexOf('use_spot'));
    assert.match(help?.text ?? '', /no effect on an SSH cluster/);
    assert.match(help?.text ?? '', /```yaml\nuse_spot: true/);
    assert.equal(
      help?.url,
      'https://docs.skypilot.co/en/latest/reference/yaml-spec.html#yaml-spec-resources-use-spot',
    );
  });

  it('is still there in a file that cannot be read in one place', () => {
    assert.equal(fieldHelp('name: "a\nrun: x\n', 12)?.title, 'run');
  });
});

describe('the outline', () => {
  it('lists fields and what is in them', () => {
    const items = outline('name: a\nresources:\n  any_of:\n    - cpus: 4\nrun: |\n  x\n');
    assert.deepEqual(
      items.map(({ name, detail, kind }) => [name, detail, kind]),
      [
        ['name', 'a', 'value'],
        ['resources', '', 'mapping'],
        ['run', '', 'script'],
      ],
    );
    assert.deepEqual(
      items[1]?.children[0]?.children.map(({ name }) => name),
      ['cpus'],
    );
  });

  it('lists the tasks of a pipeline by name', () => {
    assert.deepEqual(
      outline('name: p\n---\nname: a\nrun: x\n---\nrun: y\n').map(({ name }) => name),
      ['p', 'a', 'task 3'],
    );
  });
});
