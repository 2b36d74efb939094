import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { buildBundle, loadedAtStart } from '../support/bundle';

interface Menu {
  readonly command: string;
  readonly when?: string;
}
interface Manifest {
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly title: string }[];
    readonly menus: Readonly<Record<string, readonly Menu[]>>;
    readonly keybindings: readonly Menu[];
    readonly viewsWelcome: readonly { readonly when: string }[];
    readonly configuration: { readonly properties: Readonly<Record<string, Record<string, unknown>>> };
  };
}

const root = path.resolve(__dirname, '../../..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const manifest = JSON.parse(read('package.json')) as Manifest;
const nls = JSON.parse(read('package.nls.json')) as Record<string, string>;
const sources = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => read(path.join('src', file)))
  .join('\n');
const { commands, menus, keybindings, configuration, viewsWelcome } = manifest.contributes;

describe('package.json', () => {
  it('has a command for each that the code registers, and the other way round', () => {
    const registered = [...sources.matchAll(/^\s*(?:export const \w+: Command = \{ )?id: '(\w+)',/gm)].map(
      ([, id]) => `clusterQueue.${id ?? ''}`,
    );
    assert.deepEqual([...new Set(registered)].sort(), commands.map(({ command }) => command).sort());
  });

  it('has only known commands in menus and keys', () => {
    const known = new Set(commands.map(({ command }) => command));
    for (const item of [...Object.values(menus).flat(), ...keybindings])
      assert.ok(known.has(item.command), item.command);
  });

  it('has settings that the code reads, each with a description and in the README', () => {
    const readme = read('README.md');
    for (const [name, property] of Object.entries(configuration.properties)) {
      const short = name.replace('clusterQueue.', '');
      assert.ok(sources.includes(`'${short}'`) || sources.includes(`'${name}'`), `nobody reads ${name}`);
      assert.ok(property.markdownDescription ?? property.description, `${name} has no description`);
      assert.ok(readme.includes(name), `${name} is not in the README`);
    }
  });

  it('has only `when` keys that somebody sets', () => {
    const conditions = [...Object.values(menus).flat(), ...keybindings, ...viewsWelcome].flatMap(
      ({ when }) => when ?? [],
    );
    const own = conditions.flatMap((when) =>
      [...when.matchAll(/(clusterQueue\.\w+)/g)].map(([, key]) => key ?? ''),
    );
    for (const key of new Set(own))
      assert.ok(key === 'clusterQueue.queue' || sources.includes(`'${key}'`), `nobody sets ${key}`);
  });

  it('takes its words from package.nls.json, which has no others', () => {
    const used = [...read('package.json').matchAll(/"%([^%]+)%"/g)].map(([, key]) => key ?? '');
    assert.deepEqual([...new Set(used)].sort(), Object.keys(nls).sort());
  });

  it('names files that exist', () => {
    for (const [, file] of read('package.json').matchAll(/"(?:\.\/)?(media\/[^"]+)"/g))
      assert.ok(existsSync(path.join(root, file ?? '')), file);
  });
});

describe('the bundle', function () {
  this.timeout(60_000);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'cq-bundle-'));
  before(() => buildBundle(folder));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('loads at the start of VS Code what a window needs, and nothing of the engine, the editor and what commands do', () => {
    const { files, bytes } = loadedAtStart(folder);
    assert.ok(files.includes(path.join(folder, 'extension.js')));
    assert.ok(bytes < 100_000, `${bytes} bytes: ${files.join(' ')}`);
  });

  it('is all in the package', () => {
    const taken = read('.vscodeignore')
      .split('\n')
      .filter((line) => line.startsWith('!dist/'))
      .map(
        (line) => new RegExp(`^${line.slice('!dist/'.length).replaceAll('.', '\\.').replaceAll('*', '.*')}$`),
      );
    for (const file of readdirSync(folder))
      assert.ok(
        taken.some((pattern) => pattern.test(file)),
        file,
      );
  });
});
