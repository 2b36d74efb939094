import { randomUUID } from 'node:crypto';
import { link, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StoreLockedError, StoreReadError, StoreWriteError, systemCodeOf } from './errors';
import { makeFolder } from './makeFolder';
import { moveOver } from './moveOver';
import { livenessOf, ownIdentity, type ProcessIdentity } from './processIdentity';

/**
 * One process at a time, by files numbered `lock.1`, `lock.2`, …: the owner is whoever made the highest one.
 *
 * - A file appears whole under its name by `link`, which fails when the name exists: of all that find the owner of
 *   `lock.7` dead, one makes `lock.8`.
 * - Nobody breaks a lock by removing it. Removing is where the usual lock file loses: between "its owner is dead" and
 *   "remove" somebody else may have taken it. Here the successor only removes files that were two numbers behind, which
 *   nobody looks at, and the owner gives up by replacing the text of its own file.
 * - Whoever made a file looks once more: if there is a higher one, it was slow and backs off.
 *
 * Why no abstract unix socket, which the kernel frees by itself: its name is known per network namespace, so two containers
 * (or two machines) on one home directory would both win; any user of the machine can take the name first; and macOS and
 * Windows have none, so files would be needed all the same and the two would have to agree.
 */
export interface Lock {
  /** Gives the folder to the next one. */
  release(): Promise<void>;
}

type LockText = ProcessIdentity | { readonly released: true };

const NAME = /^lock\.(\d+)$/;

/**
 * Takes the folder for this process, also from an owner that was killed. One call at a time per process and folder.
 * Throws StoreLockedError (with the owner's pid) when it is taken, StoreWriteError when the folder cannot be written.
 */
export async function acquire(folder: string): Promise<Lock> {
  const own = await ownIdentity();
  const path = (number: number): string => join(folder, `lock.${number}`);
  await makeFolder(folder, 0o700).catch((cause: unknown) => {
    throw new StoreWriteError(folder, cause);
  });
  for (;;) {
    const top = await highest(folder);
    if (top > 0) await mustBeFree(path(top), own);
    const mine = top + 1;
    if (!(await make(path(mine), own))) continue;
    if ((await highest(folder)) > mine) {
      await rm(path(mine), { force: true });
      continue;
    }
    await removeUpTo(folder, mine - 2);
    return { release: () => replace(path(mine), { released: true }) };
  }
}

/** The process that has the folder; undefined for none. Throws StoreLockedError for one of another machine. */
export async function ownerOf(folder: string): Promise<number | undefined> {
  const top = await highest(folder).catch(() => 0);
  if (top === 0) return undefined;
  try {
    await mustBeFree(join(folder, `lock.${top}`), await ownIdentity());
    return undefined;
  } catch (error) {
    if (error instanceof StoreLockedError && error.visible) return error.pid;
    throw error;
  }
}

async function highest(folder: string): Promise<number> {
  const numbers = (await readdir(folder)).map((name) => Number(NAME.exec(name)?.[1] ?? 0));
  return Math.max(0, ...numbers);
}

async function mustBeFree(path: string, own: ProcessIdentity): Promise<void> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    // Gone: others went on meanwhile, and making the next file will tell.
    if (systemCodeOf(cause) === 'ENOENT') return undefined;
    throw new StoreReadError(path, cause);
  });
  if (text === undefined) return;
  const owner = parse(text);
  if (owner === undefined) throw new StoreLockedError(path, 0, 'an unknown machine', false);
  if ('released' in owner) return;
  const liveness = await livenessOf(owner, own);
  if (liveness !== 'dead') throw new StoreLockedError(path, owner.pid, owner.host, liveness === 'alive');
}

/** True when the file was made by us; false when it was there. */
async function make(path: string, text: LockText): Promise<boolean> {
  const temporary = `${path}.${randomUUID()}`;
  try {
    await writeFile(temporary, JSON.stringify(text), { mode: 0o600, flag: 'wx', flush: true });
    await link(temporary, path);
    return true;
  } catch (cause) {
    if (systemCodeOf(cause) === 'EEXIST') return false;
    throw new StoreWriteError(path, cause);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function replace(path: string, text: LockText): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, JSON.stringify(text), { mode: 0o600 });
  await moveOver(temporary, path);
}

async function removeUpTo(folder: string, last: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const [, number] = NAME.exec(name) ?? [];
    if (number !== undefined && Number(number) <= last) await rm(join(folder, name), { force: true });
  }
}

function parse(text: string): LockText | undefined {
  try {
    return JSON.parse(text) as LockText;
  } catch {
    return undefined;
  }
}
