import type { Stats } from 'node:fs';
import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { moveOver } from '../../store';

type Row = readonly [
  path: string,
  size: number,
  mtimeMs: number,
  ctimeMs: number,
  ino: number,
  hash: string,
  program?: 1,
];

/** What was found out of the content of a file. */
export interface SeenContent {
  readonly hash: string;
  /** Meant to be run; not looked at where permissions say so. */
  readonly program?: boolean;
}

/**
 * Which content the files of one workdir had when they were last read, so that only changed ones are read again. A file is
 * the same while its size, times and inode are; one that was written so shortly before it was read that a later write could
 * have left the same times is not remembered.
 */
export class Seen {
  private readonly next = new Map<string, Row>();
  private changed = false;

  private constructor(
    private readonly file: string,
    private readonly rows: ReadonlyMap<string, Row>,
    /** The snapshot that was taken last. */
    readonly latest: string | undefined,
  ) {}

  static async open(file: string): Promise<Seen> {
    try {
      const { latest, rows } = JSON.parse(await readFile(file, 'utf8')) as { latest: string; rows: Row[] };
      return new Seen(file, new Map(rows.map((row) => [row[0], row])), latest);
    } catch {
      // Not there, or torn by a crash: everything is read once.
      return new Seen(file, new Map(), undefined);
    }
  }

  /** The content of a file that has not changed since it was read. */
  hashOf(inside: string, stats: Stats): string | undefined {
    const row = this.rows.get(inside);
    if (!row) return undefined;
    const [, size, mtimeMs, ctimeMs, ino, hash] = row;
    const same =
      size === stats.size && mtimeMs === stats.mtimeMs && ctimeMs === stats.ctimeMs && ino === stats.ino;
    return same ? hash : undefined;
  }

  /** Whether the content of that file is meant to be run, as far as its first bytes were looked at. */
  isProgram(inside: string): boolean {
    return this.rows.get(inside)?.[6] === 1;
  }

  /** A file is part of the snapshot that is being taken. `readAt`: when its reading began, ms since 1970. */
  note(inside: string, stats: Stats, { hash, program }: SeenContent, readAt?: number): void {
    if (readAt !== undefined) {
      this.changed = true;
      if (Math.max(stats.mtimeMs, stats.ctimeMs) + grain(stats.mtimeMs) > readAt) return;
    }
    const row = [inside, stats.size, stats.mtimeMs, stats.ctimeMs, stats.ino, hash] as const;
    this.next.set(inside, program === true ? [...row, 1] : row);
  }

  /** Keeps what was noted, with the name of the snapshot that it made. */
  async save(latest: string): Promise<void> {
    if (!this.changed && latest === this.latest && this.next.size === this.rows.size) {
      // It was used: what was not used for long is swept.
      await utimes(this.file, new Date(), new Date());
      return;
    }
    const partial = `${this.file}.new`;
    await mkdir(path.dirname(this.file), { recursive: true, mode: 0o700 });
    await writeFile(partial, JSON.stringify({ latest, rows: [...this.next.values()] }), { mode: 0o600 });
    await moveOver(partial, this.file);
  }
}

/** How far apart two writes must be to show in a file's times, with room to spare; ms. */
function grain(mtimeMs: number): number {
  // File systems that keep whole seconds: FAT keeps even ones.
  return Number.isInteger(mtimeMs / 1000) ? 4_000 : 100;
}
