import { createHash } from 'node:crypto';

/** What a snapshot of a single file calls it; do_place in sh/files.sh knows the name too. */
export const SINGLE = '.cluster-queue-file';

/** One entry of a snapshot. `path` is relative, with `/`; `mode` are the nine permission bits; `mtime` in whole seconds. */
export type Entry =
  | { readonly kind: 'folder'; readonly path: string; readonly mode: number; readonly mtime: number }
  | { readonly kind: 'link'; readonly path: string; readonly mtime: number; readonly target: string }
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly mode: number;
      readonly mtime: number;
      readonly size: number;
      readonly hash: string;
    };

export type FileEntry = Extract<Entry, { kind: 'file' }>;

/** A snapshot as it was taken: all its entries, folders before what is in them. */
export type Manifest = readonly Entry[];

// 128 bits: nobody makes two of one's own files collide by chance.
const HASH_LENGTH = 32;

/** The name of some content. */
export function contentHash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, HASH_LENGTH);
}

/** As `contentHash`, of what comes piece by piece. */
export class ContentHasher {
  private readonly hash = createHash('sha256');
  size = 0;

  update(bytes: Uint8Array): void {
    this.hash.update(bytes);
    this.size += bytes.length;
  }

  end(): string {
    return this.hash.digest('hex').slice(0, HASH_LENGTH);
  }
}

/**
 * The name of a snapshot: a hash of paths, kinds, permissions and contents. Times are not in it, so that a tree whose files
 * were only touched, or checked out again, is the one that the nodes have.
 */
export function snapshotName(manifest: Manifest): string {
  const hash = createHash('sha256');
  for (const entry of manifest) {
    const what =
      entry.kind === 'file'
        ? `${entry.mode.toString(8)} ${entry.hash}`
        : entry.kind === 'folder'
          ? entry.mode.toString(8)
          : JSON.stringify(entry.target);
    hash.update(`${entry.kind} ${what} ${JSON.stringify(entry.path)}\n`);
  }
  return hash.digest('hex').slice(0, HASH_LENGTH);
}

type Row =
  | readonly ['d', string, number, number]
  | readonly ['l', string, number, string]
  | readonly ['f', string, number, number, number, string];

/** A manifest as it is kept on disk. */
export function encodeManifest(manifest: Manifest): string {
  const rows = manifest.map((entry): Row => {
    switch (entry.kind) {
      case 'folder':
        return ['d', entry.path, entry.mtime, entry.mode];
      case 'link':
        return ['l', entry.path, entry.mtime, entry.target];
      case 'file':
        return ['f', entry.path, entry.mtime, entry.mode, entry.size, entry.hash];
    }
  });
  return JSON.stringify(rows);
}

export function decodeManifest(text: string): Manifest {
  return (JSON.parse(text) as Row[]).map((row): Entry => {
    switch (row[0]) {
      case 'd':
        return { kind: 'folder', path: row[1], mtime: row[2], mode: row[3] };
      case 'l':
        return { kind: 'link', path: row[1], mtime: row[2], target: row[3] };
      case 'f':
        return { kind: 'file', path: row[1], mtime: row[2], mode: row[3], size: row[4], hash: row[5] };
    }
  });
}
