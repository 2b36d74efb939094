import { isAlias, isMap, isScalar, isSeq, type Document, type Node, type YAMLMap } from 'yaml';
import { closest, type Problem } from '../task';

/** A place in the text, in UTF-16 code units, end exclusive. */
export interface Place {
  readonly start: number;
  readonly end: number;
}

/** A key of a mapping with its place, and its value. */
export interface Entry extends Place {
  readonly key: string;
  readonly value: Node | undefined;
  /** The error about the same key further down. */
  readonly again?: Problem;
}

/** Walks the mappings of a node pools file and collects what is wrong with them. */
export class PoolReader {
  readonly problems: Problem[] = [];

  constructor(
    private readonly document: Document.Parsed | undefined,
    private readonly length: number,
  ) {}

  /** A node behind its alias. */
  resolved(node: unknown): Node | undefined {
    if (isAlias(node)) return this.document && node.resolve(this.document);
    return isMap(node) || isSeq(node) || isScalar(node) ? node : undefined;
  }

  error(place: Place, code: string, message: string): Problem {
    return this.add('error', place, code, message);
  }

  warning(place: Place, code: string, message: string): void {
    this.add('warning', place, code, message);
  }

  private add(severity: 'error' | 'warning', place: Place, code: string, message: string): Problem {
    const end = Math.min(place.end, this.length);
    const problem: Problem = { severity, code, message, start: Math.min(place.start, end), end };
    this.problems.push(problem);
    return problem;
  }

  /** The entries of a mapping; a key that comes again is an error, as in SkyPilot, and its first value stays. */
  entries(map: YAMLMap): Entry[] {
    const found = new Map<string, Entry>();
    const merged: Entry[] = [];
    for (const { key, value } of map.items) {
      if (!isScalar(key)) continue;
      if (key.value === '<<') {
        const source = this.resolved(value);
        // A mapping that merges itself would never end.
        if (isMap(source) && source !== map && !source.items.some((item) => isMerge(item.key)))
          merged.push(...this.entries(source));
        continue;
      }
      const [start, end] = key.range ?? [0, 0];
      const name = typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
      const first = found.get(name);
      if (first) {
        const message = `${name} is given twice. Remove one of the two.`;
        const again = this.error({ start, end }, 'duplicate-key', message);
        found.set(name, { again, ...first });
      } else found.set(name, { key: name, start, end, value: this.resolved(value) });
    }
    for (const entry of merged) if (!found.has(entry.key)) found.set(entry.key, entry);
    return [...found.values()];
  }

  /** Warns of keys that do nothing, and offers the one that was meant. */
  unknown(entries: readonly Entry[], known: readonly string[], what: string): void {
    for (const { key, start, end } of entries) {
      if (known.includes(key)) continue;
      const meant = closest(key, known);
      const help = meant === undefined ? `It has ${known.join(', ')}.` : `Did you mean ${meant}?`;
      this.problems.push({
        severity: 'warning',
        code: 'unknown-field',
        message: `${what} has no field ${key}. ${help}`,
        start,
        end,
        ...(meant !== undefined && {
          fixes: [{ title: `Change to ${meant}`, start, end, text: meant }],
        }),
      });
    }
  }
}

function isMerge(key: unknown): boolean {
  return isScalar(key) && key.value === '<<';
}
