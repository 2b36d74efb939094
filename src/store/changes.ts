import type { JobRecord } from '../queue/jobRecord';

/** A cluster as stored. */
export interface StoredCluster {
  readonly name: string;
  /** JSON of whoever defines clusters; the store does not look into it. */
  readonly definition: string;
  /** The id the next job gets; never goes down, also when the cluster is removed and made anew. */
  readonly nextJobId: number;
  /** ms since 1970. */
  readonly createdAt: number;
}

/** The fields of a job that change after submit. */
export type MutableField =
  | 'name'
  | 'status'
  | 'priority'
  | 'order'
  | 'held'
  | 'sealedSecrets'
  | 'startedAt'
  | 'endedAt'
  | 'placement'
  | 'staged'
  | 'cancelling'
  | 'exitCodes'
  | 'tries'
  | 'logBytes'
  | 'message';

/** What changes of a job. A field present with the value undefined is cleared; an absent one stays. */
export type JobPatch = { readonly [K in MutableField]?: JobRecord[K] | undefined };

/** A change of the store, as the journal keeps it; `null` clears a field of a patch. */
export type Change =
  | { readonly op: 'addJobs'; readonly params: { readonly jobs: readonly JobRecord[] } }
  | { readonly op: 'updateJob'; readonly params: { readonly uuid: string; readonly patch: JournalPatch } }
  | { readonly op: 'removeJobs'; readonly params: { readonly uuids: readonly string[] } }
  | { readonly op: 'putCluster'; readonly params: StoredCluster }
  | { readonly op: 'removeCluster'; readonly params: { readonly name: string } }
  | { readonly op: 'setSetting'; readonly params: { readonly key: string; readonly value: string | null } };

export type JournalPatch = Readonly<Record<string, unknown>>;

/** Version of the journal's form: its header, its lines and every change in them. */
export const JOURNAL_VERSION = 1;

const OPS: ReadonlySet<string> = new Set<Change['op']>([
  'addJobs',
  'updateJob',
  'removeJobs',
  'putCluster',
  'removeCluster',
  'setSetting',
]);

/** First line of a journal. */
export interface JournalHeader {
  readonly format: 'cluster-queue journal';
  readonly version: number;
  /** Identity of the store, so that a journal copied in from elsewhere is never replayed. */
  readonly store: string;
  /** Number of the record before the first one here; a snapshot taken at or after it can be continued. */
  readonly after: number;
}

/** Any other line: changes are numbered without a gap over the whole life of a store. */
export type JournalRecord = { readonly v: number; readonly seq: number } & Change;

/** A patch as JSON can carry it. */
export function toJournalPatch(patch: JobPatch): JournalPatch {
  const fields: [string, unknown][] = Object.entries(patch);
  return Object.fromEntries(fields.map(([key, value]) => [key, value ?? null]));
}

/** The header in a payload whose checksum was right; undefined when it is none. */
export function parseHeader(payload: string): JournalHeader | undefined {
  const value = parseObject(payload) as Partial<JournalHeader> | undefined;
  if (value?.format !== 'cluster-queue journal') return undefined;
  const { format, version, store, after } = value;
  if (version === undefined || store === undefined || after === undefined) return undefined;
  return { format, version, store, after };
}

/** The record in a payload whose checksum was right; undefined when it is none this version can apply. */
export function parseRecord(payload: string): JournalRecord | undefined {
  const value = parseObject(payload) as JournalRecord | undefined;
  return value?.v === JOURNAL_VERSION && OPS.has(value.op) ? value : undefined;
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
