import { execFile, type ExecFileException } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { QueueError } from './errors';

/** A commit of a repository, checked out. */
export interface Checkout {
  readonly folder: string;
  /** Its full hash. */
  readonly commit: string;
}

// What was not used for so long makes room.
const KEPT_MS = 14 * 24 * 3600_000;
// A server that does not answer must not hold up a submit for ever.
const LONGEST_MS = 10 * 60_000;
const SOURCE = 'cluster-queue-source';

/**
 * Checkouts of git repositories that tasks name as their workdir, by the user's own `git` on this machine: with the
 * credentials that it has here (agent, keychain, helpers), so that nodes need neither them, nor git, nor a way to the
 * server. A checkout stays where it is: the next submit fetches only what is new.
 */
export class Repositories {
  private readonly busy = new Map<string, Promise<unknown>>();

  constructor(
    private readonly dir: string,
    private readonly sshConfigFile: string | undefined,
  ) {}

  /**
   * Checks out a branch, tag or commit as it is now (without `ref`, the server's default branch), and does something with it
   * before anybody else may.
   * @param written The address as errors and the checkout, which goes to nodes, may name it; its login is left out.
   * @throws QueueError `workdir` when there is no git, or in git's words
   */
  async with<T>(
    url: string,
    ref: string | undefined,
    work: (checkout: Checkout) => Promise<T>,
    written = url,
  ): Promise<T> {
    const shown = withoutLogin(written);
    const folder = path.join(
      this.dir,
      createHash('sha256')
        .update(JSON.stringify([url, ref ?? '']))
        .digest('hex')
        .slice(0, 16),
    );
    const before = this.busy.get(folder) ?? Promise.resolve();
    const turn = before
      .catch(() => undefined)
      .then(async () => work({ folder, commit: await this.checkOut(folder, url, shown, ref) }));
    this.busy.set(folder, turn);
    try {
      return await turn;
    } finally {
      if (this.busy.get(folder) === turn) this.busy.delete(folder);
    }
  }

  /** Removes checkouts that were not used for two weeks. */
  async sweep(): Promise<void> {
    for (const name of await readdir(this.dir).catch(() => [])) {
      const folder = path.join(this.dir, name);
      if (!this.busy.has(folder) && (await stat(folder)).mtimeMs < Date.now() - KEPT_MS)
        await rm(folder, { recursive: true, force: true });
    }
  }

  private async checkOut(
    folder: string,
    url: string,
    shown: string,
    ref: string | undefined,
  ): Promise<string> {
    if (ref?.startsWith('-') === true || url.startsWith('-'))
      throw new QueueError('workdir', `${ref ?? shown} is no name that git takes`);
    const git = (...args: string[]): Promise<Ran> => this.git(folder, url, shown, args);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // Locks that a killed git left: nobody else works here.
    const torn = existsSync(path.join(folder, '.git', 'index.lock'));
    for (const lock of ['index.lock', 'shallow.lock', 'HEAD.lock', 'config.lock'])
      await rm(path.join(folder, '.git', lock), { force: true });
    if ((await git('rev-parse', '--git-dir')).stdout.trim() !== '.git') {
      await demand(git('init', '--quiet', '--template='), shown);
      // No log of what was checked out when: the same commit is then the same tree, which nodes have.
      await demand(git('config', 'core.logAllRefUpdates', 'false'), shown);
      await demand(git('config', 'remote.origin.url', shown), shown);
    }
    const commit = await this.fetch(git, shown, ref);
    const head = await git('rev-parse', '--verify', '--quiet', 'HEAD');
    if (torn || head.stdout.trim() !== commit)
      await demand(git('checkout', '--quiet', '--force', '--detach', commit), shown);
    const now = new Date();
    await utimes(folder, now, now);
    return commit;
  }

  private async fetch(git: Git, shown: string, ref: string | undefined): Promise<string> {
    const quick = await git(
      'fetch',
      '--quiet',
      '--force',
      '--no-tags',
      '--depth',
      '1',
      SOURCE,
      ref ?? 'HEAD',
    );
    if (quick.code === 0) return hashOf(git, 'FETCH_HEAD', shown);
    const unknown = /couldn't find remote ref|not our ref|no such remote ref/i.test(quick.stderr);
    if (!unknown || ref === undefined) throw refusal(shown, quick);
    // Part of a commit's hash, or a server that hands out no single commits: then all of the history is looked through.
    if (/^[0-9a-f]{4,64}$/i.test(ref)) {
      const shallow = (await git('rev-parse', '--is-shallow-repository')).stdout.trim() === 'true';
      const depth = shallow ? ['--unshallow'] : [];
      const heads = '+refs/heads/*:refs/remotes/origin/*';
      await demand(git('fetch', '--quiet', '--force', '--tags', ...depth, SOURCE, heads), shown);
      const found = await git('rev-parse', '--verify', '--quiet', `${ref}^{commit}`);
      if (found.code === 0) return found.stdout.trim();
    }
    throw new QueueError('workdir', `the git repository ${shown} has no branch, tag or commit ${ref}`);
  }

  private git(folder: string, url: string, shown: string, args: readonly string[]): Promise<Ran> {
    const ssh = this.sshConfigFile === undefined ? 'ssh' : `ssh -F '${this.sshConfigFile}'`;
    const { GIT_SSH_COMMAND = `${ssh} -o BatchMode=yes` } = process.env;
    const env = {
      ...withoutGitPlace(process.env),
      LC_ALL: 'C',
      // Nobody is there to be asked: it fails instead, in words.
      GIT_TERMINAL_PROMPT: '0',
      GIT_SSH_COMMAND,
      // Neither on a command line nor in the checkout, because an address may have a token in it.
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: `remote.${SOURCE}.url`,
      GIT_CONFIG_VALUE_0: url,
    };
    return new Promise((resolve, reject) => {
      execFile(
        'git',
        ['-c', 'gc.auto=0', ...args],
        { cwd: folder, env, timeout: LONGEST_MS, maxBuffer: 64 << 20, windowsHide: true },
        (error: ExecFileException | null, stdout, stderr) => {
          if (error?.code === 'ENOENT')
            reject(
              new QueueError(
                'workdir',
                `the task's workdir is the git repository ${shown}, but there is no git on this machine: install it, or clone the repository and name that folder`,
              ),
            );
          else
            resolve({
              code: error ? (error.code ?? null) : 0,
              stdout,
              stderr: withAddress(stderr, url, shown),
            });
        },
      );
    });
  }
}

interface Ran {
  readonly code: number | string | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Git = (...args: string[]) => Promise<Ran>;

async function hashOf(git: Git, name: string, shown: string): Promise<string> {
  const { stdout } = await demand(git('rev-parse', '--verify', `${name}^{commit}`), shown);
  return stdout.trim();
}

async function demand(running: Promise<Ran>, shown: string): Promise<Ran> {
  const ran = await running;
  if (ran.code !== 0) throw refusal(shown, ran);
  return ran;
}

function refusal(shown: string, { code, stderr }: Ran): QueueError {
  const said = stderr.split('\n').map((line) => line.trim().replace(/:\/\/[^/@\s]*@/g, '://'));
  const advice = /^$|^Please make sure you have the correct access rights|^and the repository exists/;
  const words = said
    .filter((line) => !advice.test(line))
    .slice(-2)
    .join('; ');
  const why = words === '' ? `git ended with ${code ?? 'a signal'}` : words;
  return new QueueError(
    'workdir',
    `the git repository ${shown} could not be fetched: ${why.replace(/\.$/, '')}. It must work without a question here: try git ls-remote ${shown} in a terminal`,
  );
}

/** An address as anybody may read it. */
export function withoutLogin(url: string): string {
  return url.replace(/^(https?:\/\/)[^/@]*@/i, '$1');
}

/** Git's words with the address as it may be shown; git itself leaves a login out of it, or a part of one. */
function withAddress(said: string, url: string, shown: string): string {
  return said.replaceAll(url, shown).replaceAll(withoutLogin(url), shown);
}

/** A git hook or an editor started by git says where its own repository is: ours is another. */
function withoutGitPlace(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const places = /^GIT_(DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|COMMON_DIR)$/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !places.test(name)));
}
