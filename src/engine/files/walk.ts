import { lstatSync, readdirSync, readlinkSync, statSync, type Stats } from 'node:fs';
import path from 'node:path';
import type { IgnoreRules } from './ignoreRules';
import { SINGLE } from './manifest';

/** What lies at a path of a workdir, relative to its root with `/`. */
export type Found =
  | { readonly kind: 'folder'; readonly path: string; readonly stats: Stats }
  | { readonly kind: 'link'; readonly path: string; readonly stats: Stats; readonly target: string }
  | { readonly kind: 'file'; readonly path: string; readonly stats: Stats; readonly full: string }
  /** A socket, a FIFO or a device, which has no content to take along. */
  | { readonly kind: 'special'; readonly path: string; readonly stats: Stats };

/**
 * All that belongs into a snapshot of a folder, or of a single file, and what is special, in an order that does not depend on the
 * disk. What goes while it is looked at is passed over.
 * @throws the error of `fs` when something cannot be looked at; Error for a name that is not UTF-8
 */
export function* walk(root: string, rules: IgnoreRules): Generator<Found> {
  const stats = statSync(root);
  if (stats.isFile()) yield { kind: 'file', path: SINGLE, stats, full: root };
  else yield* folder(root, '', rules);
}

function* folder(root: string, inside: string, above: IgnoreRules): Generator<Found> {
  const names = namesIn(path.join(root, inside));
  const rules = above.inside(inside, names.includes('.gitignore'));
  for (const name of names) {
    const at = inside === '' ? name : `${inside}/${name}`;
    const full = path.join(root, at);
    const stats = lstatSync(full, { throwIfNoEntry: false });
    if (rules.omits(at, stats?.isDirectory() === true)) continue;
    if (name.includes('\uFFFD') && !stats)
      throw new Error(`${full} has a name that is not UTF-8: rename it, or leave it out by .skyignore`);
    if (!stats) continue;
    if (stats.isDirectory()) {
      yield { kind: 'folder', path: at, stats };
      yield* folder(root, at, rules);
    } else if (stats.isSymbolicLink()) {
      yield { kind: 'link', path: at, stats, target: linkTarget(full) };
    } else if (stats.isFile()) {
      yield { kind: 'file', path: at, stats, full };
    } else yield { kind: 'special', path: at, stats };
  }
}

function linkTarget(full: string): string {
  const target = readlinkSync(full);
  return process.platform === 'win32' ? target.replaceAll('\\', '/') : target;
}

function namesIn(full: string): string[] {
  try {
    return readdirSync(full).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
