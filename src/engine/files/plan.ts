import type { FileEntry, Manifest } from './manifest';

/** A snapshot that a node has. */
export interface Base {
  readonly name: string;
  readonly manifest: Manifest;
}

/** How a node gets a snapshot: which of its files are made from what it has, and what has to be sent. */
export interface SendPlan {
  /** By path: where on the node a file of the same content and permissions lies, `SNAPSHOT/PATH`. */
  readonly links: ReadonlyMap<string, string>;
  /** Paths that an earlier try has brought whole. */
  readonly there: ReadonlySet<string>;
  /** What is left to send. */
  readonly files: number;
  readonly bytes: number;
}

/**
 * Plans a sync. A file of a base is used for one path only, so that no two paths of a snapshot are ever one file: a copy of
 * the tree that keeps hard links would otherwise tie two files of a job together.
 * @param arrived size by path of what an earlier try has left on the node
 */
export function planSend(
  manifest: Manifest,
  bases: readonly Base[],
  arrived: ReadonlyMap<string, number> = new Map(),
): SendPlan {
  const files = manifest.filter((entry): entry is FileEntry => entry.kind === 'file');
  const links = new Map<string, string>();
  const there = new Set(files.filter(({ path, size }) => arrived.get(path) === size).map(({ path }) => path));
  let left = files.filter(({ path }) => !there.has(path));
  for (const { name, manifest: base } of bases) {
    if (left.length === 0) break;
    const offered = new Offered(base);
    // Those at their own place first; then what was moved.
    for (const where of ['at', 'anywhere'] as const) {
      left = left.filter((entry) => {
        const path = offered[where](entry);
        if (path !== undefined) links.set(entry.path, `${name}/${path}`);
        return path === undefined;
      });
    }
  }
  return { links, there, files: left.length, bytes: left.reduce((sum, { size }) => sum + size, 0) };
}

/** The files of a base that no path uses yet. */
class Offered {
  private readonly byPath = new Map<string, string>();
  private byContent: Map<string, string[]> | undefined;

  constructor(manifest: Manifest) {
    for (const entry of manifest) if (entry.kind === 'file') this.byPath.set(entry.path, contentOf(entry));
  }

  at(entry: FileEntry): string | undefined {
    if (this.byPath.get(entry.path) !== contentOf(entry)) return undefined;
    this.byPath.delete(entry.path);
    return entry.path;
  }

  anywhere(entry: FileEntry): string | undefined {
    if (!this.byContent) {
      this.byContent = new Map();
      for (const [path, content] of this.byPath) {
        const paths = this.byContent.get(content);
        if (paths) paths.push(path);
        else this.byContent.set(content, [path]);
      }
    }
    return this.byContent.get(contentOf(entry))?.pop();
  }
}

/** Permissions belong to a file and not to its name: a hard link cannot have others. */
function contentOf({ hash, mode }: FileEntry): string {
  return `${mode.toString(8)} ${hash}`;
}
