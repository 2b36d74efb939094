import { readFile } from 'node:fs/promises';
import { passwordOf, type NodeLogin } from '../cluster';
import type { Login } from '../transport';

/** A node's login as a transport takes it; its password is read from the pools file, as that is then. */
export function loginOf({ user, identityFile, pool }: NodeLogin, destination: string): Login {
  const password = async (): Promise<string | undefined> => {
    // A file that is gone has no password: then a person is asked.
    const text = pool && (await readFile(pool.file, 'utf8').catch(() => undefined));
    return text === undefined ? undefined : passwordOf(text, pool?.name ?? '', destination);
  };
  return {
    ...(user === undefined ? {} : { user }),
    ...(identityFile === undefined ? {} : { identityFile }),
    ...(pool === undefined ? {} : { password }),
  };
}
