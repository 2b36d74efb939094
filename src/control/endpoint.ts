import { createHash, randomBytes } from 'node:crypto';
import { lstat, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { makeFolder, moveOver } from '../store';

/** Where the process that has the engine listens; kept in the state folder. */
export interface Endpoint {
  /** Path of a unix socket, or name of a pipe. */
  readonly address: string;
  /** Shown by a client to prove that it can read the state folder; pipes of Windows have no file mode. */
  readonly token: string;
  readonly pid: number;
  readonly version: string;
}

const FILE = 'endpoint.json';
// sun_path has 104 bytes on macOS and 108 on Linux, with the closing 0.
const LONGEST_SOCKET_PATH = 100;

/**
 * An address to listen on for a state folder. Its file, if one was left behind, is removed: only the owner of the
 * folder's lock may call this.
 * @throws when no folder can be made that is the user's alone
 */
export async function makeEndpoint(home: string, version: string): Promise<Endpoint> {
  return {
    address: await makeAddress(home),
    token: randomBytes(16).toString('hex'),
    pid: process.pid,
    version,
  };
}

/** Lets others find it. */
export async function publish(home: string, endpoint: Endpoint): Promise<void> {
  const partial = path.join(home, `${FILE}.${process.pid}`);
  await writeFile(partial, JSON.stringify(endpoint), { mode: 0o600 });
  await moveOver(partial, path.join(home, FILE));
}

/** The endpoint that was published last; its process may be gone. */
export async function readEndpoint(home: string): Promise<Endpoint | undefined> {
  try {
    return JSON.parse(await readFile(path.join(home, FILE), 'utf8')) as Endpoint;
  } catch {
    return undefined;
  }
}

async function makeAddress(home: string): Promise<string> {
  const hash = createHash('sha256').update(path.resolve(home)).digest('hex').slice(0, 16);
  const user = os.userInfo().username.replace(/[^\w.-]/g, '_');
  if (process.platform === 'win32')
    return `\\\\.\\pipe\\cluster-queue-${user}-${hash}-${randomBytes(6).toString('hex')}`;
  const address = socketPath(
    home,
    os.tmpdir(),
    `cluster-queue-${process.getuid?.() ?? user}`,
    `${hash}.sock`,
  );
  await makePrivate(path.dirname(address));
  await rm(address, { force: true });
  return address;
}

/** In the state folder, else where a path is short enough: a job of a batch system has a long TMPDIR too. */
export function socketPath(home: string, temporary: string, folder: string, name: string): string {
  const places = [
    path.join(home, 'run', 'engine.sock'),
    path.join(temporary, folder, name),
    path.join('/tmp', folder, name),
  ];
  const fits = (place: string): boolean => Buffer.byteLength(place) <= LONGEST_SOCKET_PATH;
  return places.find(fits) ?? path.join('/tmp', folder, name);
}

/** In a shared folder such as /tmp somebody else may have made the name first. */
async function makePrivate(folder: string): Promise<void> {
  await makeFolder(folder, 0o700);
  const found = await lstat(folder);
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0)
    throw new Error(`${folder} must be a folder of yours that nobody else can open (chmod 700)`);
}
