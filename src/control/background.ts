import path from 'node:path';
import { acquire, ownerOf, StoreLockedError } from '../store';

/** The folder whose lock the background engine has, and its log. */
export function backgroundFiles(home: string): { folder: string; log: string } {
  return { folder: path.join(home, 'background'), log: path.join(home, 'engine.log') };
}

/**
 * The process that keeps the engine open in the background; undefined for none.
 * @throws StoreLockedError when it is one of another machine that has the same state folder
 */
export function backgroundPid(home: string): Promise<number | undefined> {
  return ownerOf(backgroundFiles(home).folder);
}

/** The engine that goes on while no window is open. */
export interface Background {
  readonly pid: number;
  /** Name of the machine that has it, when that is not this one; it has the same state folder. */
  readonly host?: string;
  readonly log: string;
}

/** Whether a background engine is on, here or on another machine; undefined for none. */
export async function findBackground(home: string): Promise<Background | undefined> {
  const { log } = backgroundFiles(home);
  try {
    const pid = await backgroundPid(home);
    return pid === undefined ? undefined : { pid, log };
  } catch (error) {
    if (!(error instanceof StoreLockedError)) throw error;
    return { pid: error.pid, host: error.host, log };
  }
}

/** Makes this process the background engine until it ends. Resolves to the pid of the one there is, else undefined. */
export async function becomeBackground(home: string): Promise<number | undefined> {
  try {
    await acquire(backgroundFiles(home).folder);
    return undefined;
  } catch (error) {
    if (error instanceof StoreLockedError && error.visible) return error.pid;
    throw error;
  }
}
