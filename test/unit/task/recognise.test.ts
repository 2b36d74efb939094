import assert from 'node:assert/strict';
import { looksLikeTask } from '../../../src/task';

describe('looksLikeTask', () => {
  it('goes by the name first', () => {
    for (const name of ['a.task.yaml', 'a.task.yml', 'a.sky.yaml', 'dir/A.SKY.YML'])
      assert.ok(looksLikeTask('', name), name);
    for (const name of ['task.txt', 'a.task.json', 'x'])
      assert.ok(!looksLikeTask('resources:\n  gpus: V100\nrun: x', name), name);
  });

  const tasks = [
    'resources:\n  cpus: 4\nrun: x\n',
    'name: a\r\nnum_nodes: 2\r\nrun: |\r\n  x\r\n',
    'setup: a\nrun: b\n',
    'name: pipe\n---\nname: a\nresources: {gpus: V100}\nrun: x\n',
    'resorces:\n  gpus: V100\nworkdir: .\nrun: x\n',
    'resources:\n  # GPUs\n  accelerators: V100:4\n',
    '\uFEFFworkdir: .\nrun: "x"\n',
  ];
  for (const text of tasks)
    it(`takes ${JSON.stringify(text)}`, () => assert.ok(looksLikeTask(text, 'x.yaml')));

  const others = [
    '',
    'run: x\n',
    'name: a\nrun: x\n',
    'name: CI\non: push\njobs:\n  a:\n    steps:\n      - run: x\n',
    'name: a\nruns:\n  using: composite\n',
    'version: 2\nservices:\n  web:\n    image: x\nvolumes:\n  a:\n',
    'apiVersion: v1\nkind: Pod\nmetadata: {}\nspec:\n  resources: {}\n',
    '- hosts: all\n  tasks: []\n',
    'name: env\nchannels: [a]\ndependencies: [b]\n',
    'resources:\n  limits:\n    cpu: 1\nreplicaCount: 2\n',
    'build:\n  gpu: true\n  run:\n    - x\npredict: a\n',
    'type: task\nresources:\n  gpu: 24GB\ncommands: [a]\n',
    'stages:\n  train:\n    cmd: x\n',
    'package:\n  name: a\nrequirements:\n  run: [python]\n',
    'run: true\nsetup: false\nenvs: {}\n',
    'language: python\nscript: x\nsetup: a\nrun: b\n',
  ];
  for (const text of others)
    it(`leaves ${JSON.stringify(text)}`, () => assert.ok(!looksLikeTask(text, 'x.yaml')));
});
