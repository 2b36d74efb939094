import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { haveSshd } from '../support/sshd';
import { World } from '../support/world';

const haveGit = ((): boolean => {
  try {
    execFileSync('git', ['--version']);
    return true;
  } catch {
    return false;
  }
})();

describe('a workdir that is a git repository', function () {
  if (!haveSshd || !haveGit) return;
  this.timeout(60_000);
  const world = new World();
  const author = path.join(world.home, 'author');
  const bare = path.join(world.home, 'project.git');
  const who = ['-c', 'user.name=me', '-c', 'user.email=me@here'];
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', author, ...who, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  /** Commits a file and pushes; returns the commit. */
  const push = (text: string): string => {
    writeFileSync(path.join(author, 'file'), text);
    git('add', '--all', '--force');
    git('commit', '-qm', text);
    git('push', '-q', bare, 'HEAD:main');
    return git('rev-parse', 'HEAD').trim();
  };
  const task = (workdir: string, run = 'cat file; git rev-parse HEAD'): string =>
    `workdir: ${workdir}\nrun: ${run}\n`;
  const runs = async (yaml: string): Promise<string> => {
    const { id } = await world.submit('c', yaml);
    const record = await world.ended('c', id);
    const text = await world.log('c', id);
    assert.equal(record.status, 'SUCCEEDED', `${record.message ?? ''} ${text}`);
    return text;
  };
  let first = '';

  before(async () => {
    mkdirSync(author);
    execFileSync('git', ['init', '-q', '--bare', '--initial-branch=main', bare]);
    git('init', '-q', '--initial-branch=main');
    writeFileSync(path.join(author, '.gitignore'), 'kept.log\n');
    writeFileSync(path.join(author, 'kept.log'), 'in the commit though ignored');
    first = push('one ');
    git('tag', 'v1');
    git('push', '-q', bare, 'v1');
    await world.nodes.add('node-a');
    await world.open();
    await world.cluster('c', ['node-a']);
  });
  after(() => world.close());

  it('runs the default branch as it is at submit, with its commit, also when it waits', async () => {
    const holding = await world.submit(
      'c',
      'run: until [ -e ~/go ]; do sleep 0.05; done\nresources: {cpus: 2+}',
    );
    const { id } = await world.engine.submit(
      (await import('../support/world')).taskOf(
        task(`{url: "file://${bare}"}`, 'cat file kept.log; git log --oneline | wc -l'),
      ),
      { cluster: 'c', user: 'me', after: [holding.id] },
    );
    const { spec } = world.engine.job('c', id).record;
    assert.deepEqual(spec.git, { commit: first });
    push('two ');
    execFileSync('touch', [path.join(world.nodes.find('node-a').home, 'go')]);
    await world.ended('c', id);
    assert.equal(await world.log('c', id), 'one in the commit though ignored1\n');
    // Run again it is the branch as that is then.
    const again = await world.engine.runAgain('c', id, 'me');
    await world.ended('c', again.id);
    assert.match(await world.log('c', again.id), /^two /);
  });

  it('runs a branch, a tag and a commit, whole or in part, of a path, a file:// and an ssh address', async () => {
    const second = git('rev-parse', 'HEAD').trim();
    const ssh = `ssh://node-a${bare}`;
    for (const [url, ref, text] of [
      [bare, 'main', `two ${second}`],
      [`file://${bare}`, 'v1', `one ${first}`],
      [`file://${bare}`, first, `one ${first}`],
      [`file://${bare}`, first.slice(0, 8), `one ${first}`],
      [ssh, 'v1', `one ${first}`],
      [`node-a:${bare}`, 'main', `two ${second}`],
      [ssh, second.slice(0, 10), `two ${second}`],
    ] as const)
      assert.equal((await runs(task(`{url: "${url}", ref: "${ref}"}`))).trim(), text, `${url} ${ref}`);
  });

  it('sends nothing when the commit is the one that nodes have, and follows a branch that was rewritten', async () => {
    const yaml = task(`{url: "${bare}", ref: main}`);
    const of = async (): Promise<string | undefined> => (await world.submit('c', yaml)).spec.snapshot;
    const before = await of();
    assert.equal(await of(), before);
    git('reset', '-q', '--hard', 'v1');
    git('push', '-qf', bare, 'HEAD:main');
    assert.match(await runs(yaml), /^one /);
    const third = push('three ');
    assert.equal(await runs(yaml), `three ${third}\n`);
    // What a killed git has left.
    const { readdirSync } = await import('node:fs');
    const dir = path.join(world.home, 'repositories');
    for (const name of readdirSync(dir)) {
      writeFileSync(path.join(dir, name, '.git', 'index.lock'), '');
      writeFileSync(path.join(dir, name, 'file'), 'half');
    }
    assert.equal(await runs(yaml), `three ${third}\n`);
  });

  it('has an address and a ref with variables in them, and tells a secret to git alone', async () => {
    const values = (name: string): string => `envs: {REF: main}\nsecrets: {NAME: ${name}}\n`;
    const address = `{url: "file://${world.home}/\${NAME}.git", ref: $REF}`;
    const { id, spec } = await world.submit('c', values('project') + task(address, 'cat .git/config'));
    assert.equal(spec.workdir, `file://${world.home}/\${NAME}.git`);
    assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
    assert.doesNotMatch(await world.log('c', id), /project/);
    const again = await world.engine.runAgain('c', id, 'me');
    assert.equal((await world.ended('c', again.id)).status, 'SUCCEEDED');
    await assert.rejects(
      world.submit('c', values('none') + task(address)),
      /git repository file:\/\/\S+\/\$\{NAME\}\.git could not be fetched/,
    );
  });

  it('takes no login of an address along', async () => {
    const { Repositories } = await import('../../src/engine/repositories');
    const where = path.join(world.home, 'checkouts');
    const repositories = new Repositories(where, undefined);
    const server = `url.file://${bare}.insteadOf`;
    execFileSync('git', [
      'config',
      '--file',
      path.join(world.home, 'gitconfig'),
      server,
      'https://me:secret-token@host/x',
    ]);
    const before = process.env.GIT_CONFIG_GLOBAL;
    process.env.GIT_CONFIG_GLOBAL = path.join(world.home, 'gitconfig');
    try {
      await repositories.with('https://me:secret-token@host/x', 'main', ({ folder }) => {
        assert.equal(
          execFileSync('sh', ['-c', `grep -rl secret-token '${folder}' || true`], { encoding: 'utf8' }),
          '',
        );
        assert.match(
          execFileSync('git', ['-C', folder, 'remote', '-v'], { encoding: 'utf8' }),
          /https:\/\/host\/x/,
        );
        return Promise.resolve();
      });
    } finally {
      if (before === undefined) delete process.env.GIT_CONFIG_GLOBAL;
      else process.env.GIT_CONFIG_GLOBAL = before;
    }
  });

  it('says in words that a ref, a repository or git itself is not there', async () => {
    const url = `file://${bare}`;
    for (const [workdir, words] of [
      [`{url: "${url}", ref: nope}`, /git repository file:\/\/\S+ has no branch, tag or commit nope/],
      [`{url: "${url}", ref: deadbeef}`, /has no branch, tag or commit deadbeef/],
      [`{url: "${url}", ref: "--upload-pack=x"}`, /no name that git takes/],
      [
        `{url: "file:///no/such/repo"}`,
        /git repository file:\/\/\/no\/such\/repo could not be fetched: .*(not appear|not exist|not found)[^.]*[^.]\. It must work/,
      ],
      [
        `{url: "https://me:secret@127.0.0.1:9/x"}`,
        /git repository https:\/\/127.0.0.1:9\/x could not be fetched/,
      ],
    ] as const)
      await assert.rejects(world.submit('c', task(workdir)), (error: Error) => {
        assert.match(error.message, words);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      });
    const { PATH } = process.env;
    process.env.PATH = world.home;
    try {
      await assert.rejects(
        world.submit('c', task(`{url: "${url}"}`)),
        /there is no git on this machine: install it/,
      );
    } finally {
      process.env.PATH = PATH;
    }
    rmSync(bare, { recursive: true });
    await assert.rejects(world.submit('c', task(`{url: "${url}"}`)), /could not be fetched/);
  });
});
