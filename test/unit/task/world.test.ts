import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathProblems } from '../../../src/editor/paths';
import { gpuProblems } from '../../../src/editor/worldCheck';

const GPUS = [
  { name: 'V100-32GB', free: 3, total: 12, mostOnNode: 4 },
  { name: 'L4', free: 0, total: 1 },
];

function seen(text: string): string[] {
  return gpuProblems(text, GPUS).map(({ code, start, end, fixes }) =>
    [code, text.slice(start, end), ...(fixes ?? []).map((fix) => fix.text)].join(' '),
  );
}

describe('a task file against the clusters that are known', () => {
  it('asks for what they have', () => {
    for (const text of [
      'run: x',
      'resources: {gpus: v100:4}',
      'resources: {gpus: V100-32GB}',
      'resources: {gpus: 16GB+}',
    ]) {
      assert.deepEqual(seen(text), [], text);
    }
    assert.deepEqual(gpuProblems('resources: {gpus: H100}', []), []);
  });

  it('asks for more than any node has, or for what nobody has', () => {
    assert.deepEqual(seen('resources: {gpus: V100:8}'), ['does-not-fit V100:8 V100:4']);
    assert.deepEqual(seen('resources: {gpus: L40:1}'), ['unknown-accelerator L40:1 L4:1']);
    assert.deepEqual(seen('resources: {gpus: {H100: 1}}'), ['unknown-accelerator H100']);
    assert.deepEqual(seen('resources: {gpus: "V100:8"}'), ['does-not-fit "V100:8" V100:4']);
    assert.deepEqual(seen("resources: {gpus: ['V100:8']}"), ["does-not-fit 'V100:8' V100:4"]);
  });

  it('is not held against them where something else is wrong with it', () => {
    for (const text of ['resources: {gpus: 4}', 'resources: {gpus: 4xV100}', 'resources: {gpus: "H100 :1"}'])
      assert.deepEqual(seen(text), [], text);
  });

  it('is left alone when one of its alternatives can be had', () => {
    assert.deepEqual(seen('resources: {gpus: [H100, L4]}'), []);
    assert.equal(seen('resources: {any_of: [{gpus: H100}, {gpus: V100:8}]}').length, 2);
    assert.deepEqual(seen('resources: {gpus: L4}\n---\nresources: {gpus: H100}'), [
      'unknown-accelerator H100',
    ]);
  });
});

describe('paths of a task file', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cluster-queue-paths-'));
  fs.writeFileSync(path.join(folder, 'file'), '');
  after(() => fs.rmSync(folder, { recursive: true, force: true }));

  const codesIn = async (text: string) =>
    (await pathProblems(text, [folder])).map(({ code, start, end }) => `${code} ${text.slice(start, end)}`);

  it('are looked for beside the file', async () => {
    assert.deepEqual(
      await codesIn('workdir: .\nfile_mounts: {~/a: ./file, ~/b: ~, ~/c: s3://b, ~/d: "./${X}"}\n'),
      [],
    );
    assert.deepEqual(await codesIn('workdir: nowhere\nfile_mounts: {~/a: ./no}\n'), [
      'missing-path nowhere',
      'missing-path ./no',
    ]);
    assert.deepEqual(await codesIn('workdir: file\n'), ['missing-path file']);
    assert.deepEqual(await codesIn('workdir: ~/\nname: x\n'), []);
  });

  it('are looked for with the values of variables in them', async () => {
    assert.deepEqual(await codesIn('envs: {F: file}\nworkdir: .\nfile_mounts: {~/a: ./$F}\n'), []);
    assert.deepEqual(await codesIn('envs: {F: no}\nfile_mounts: {~/a: ./$F}\n'), ['missing-path ./$F']);
  });

  it('are looked for in the workspace folder after that, and each place is named when they are in none', async () => {
    const workspace = path.join(folder, 'workspace');
    fs.mkdirSync(path.join(workspace, 'code'), { recursive: true });
    const said = async (text: string) =>
      (await pathProblems(text, [folder, workspace])).map(({ message }) => message);
    assert.deepEqual(await said('workdir: code\n'), []);
    assert.deepEqual(await said('workdir: none\n'), [
      `${path.join(folder, 'none')} does not exist, nor does ${path.join(workspace, 'none')}.`,
    ]);
    assert.match((await said('workdir: file\n')).join(), /file is not a folder: `workdir` is the folder/);
  });
});
