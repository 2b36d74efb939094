import { deviceLabel } from '../cluster/devices';
import { age, duration, timeLimitText } from './age';
import type { JobStatus, Placement } from './job';
import type { JobRecord } from './jobRecord';

export interface QueueTableOptions {
  /** Adds the columns DURATION RESOURCES NODES REASON, and TRY and LIMIT when a job has retries or a time limit. */
  readonly wide?: boolean;
  /** Why a job waits, or what is wrong though it runs; without it REASON is the job's own message. */
  readonly reason?: (job: JobRecord) => string | undefined;
  /** Colours a cell; the text it returns must be as wide as the text it gets, apart from escape sequences. */
  readonly colour?: (text: string, cell: QueueCell) => string;
}

/** What a cell of the table is, for colouring. */
export type QueueCell = { readonly kind: 'header' } | { readonly kind: 'status'; readonly status: JobStatus };

const COLUMNS = ['ID', 'NAME', 'USER', 'SUBMITTED', 'STARTED', 'STATUS'];
const STATUS_COLUMN = COLUMNS.indexOf('STATUS');

/** The queue as a table, newest job first, without a last line break. `now` is in ms since 1970. */
export function renderQueue(
  jobs: readonly JobRecord[],
  now: number,
  options: QueueTableOptions = {},
): string {
  const newestFirst = [...jobs].sort((a, b) => b.id - a.id);
  const wide = options.wide === true ? wideColumns(newestFirst, now, options) : [];
  const header = [...COLUMNS, ...wide.map(({ title }) => title)];
  const rows = newestFirst.map((job) => [...cellsOf(job, now), ...wide.map(({ cell }) => cell(job))]);
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => widthOf(row[column] ?? ''))),
  );
  const colour = options.colour ?? ((text: string): string => text);
  const line = (cells: readonly string[], paint: (text: string, column: number) => string): string =>
    cells
      .map((cell, column) => {
        const padding = column === cells.length - 1 ? 0 : (widths[column] ?? 0) - widthOf(cell);
        return paint(cell, column) + ' '.repeat(padding);
      })
      .join('  ')
      .trimEnd();
  return [
    line(header, (text) => colour(text, { kind: 'header' })),
    ...newestFirst.map((job, index) =>
      line(rows[index] ?? [], (text, column) =>
        column === STATUS_COLUMN ? colour(text, { kind: 'status', status: job.status }) : text,
      ),
    ),
  ].join('\n');
}

/** Where a job runs, with its devices: `node1[2,3] node2[0,1]`; `-` before it is placed. */
export function placementText(placement: Placement | undefined): string {
  if (!placement) return '-';
  return placement.ranks
    .map(({ node, devices }) =>
      devices.length === 0 ? node : `${node}[${devices.map(deviceLabel).join(',')}]`,
    )
    .join(' ');
}

interface Column {
  readonly title: string;
  readonly cell: (job: JobRecord) => string;
}

function wideColumns(jobs: readonly JobRecord[], now: number, options: QueueTableOptions): Column[] {
  const columns: (Column & { readonly shown?: boolean })[] = [
    {
      title: 'DURATION',
      cell: ({ startedAt, endedAt }) =>
        startedAt === undefined ? '-' : duration((endedAt ?? now) - startedAt),
    },
    { title: 'TRY', cell: tryText, shown: jobs.some(({ spec }) => spec.retries !== undefined) },
    {
      title: 'LIMIT',
      cell: ({ spec }) => (spec.timeoutS === undefined ? '-' : timeLimitText(spec.timeoutS)),
      shown: jobs.some(({ spec }) => spec.timeoutS !== undefined),
    },
    { title: 'RESOURCES', cell: ({ spec }) => spec.resources },
    { title: 'NODES', cell: ({ placement }) => placementText(placement) },
    {
      title: 'REASON',
      cell: (job) => oneLine(options.reason?.(job) ?? job.message ?? '-'),
    },
  ];
  return columns.filter(({ shown }) => shown !== false);
}

/** `2/4`: the second of at most four tries; `-` for a job that is run once only. */
function tryText({ spec, tries = 1 }: JobRecord): string {
  return spec.retries === undefined ? '-' : `${tries}/${spec.retries + 1}`;
}

function cellsOf(job: JobRecord, now: number): string[] {
  const { startedAt } = job;
  return [
    String(job.id),
    oneLine(job.name),
    oneLine(job.user),
    age(now - job.submittedAt),
    startedAt === undefined ? '-' : age(now - startedAt),
    job.status,
  ];
}

/** A line break or an escape sequence in a name must not tear the table or reach the terminal. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim() || '-';
}

/** Columns on a terminal: East Asian wide characters and emoji take two, combining marks none. */
function widthOf(text: string): number {
  let width = 0;
  for (const char of text) {
    if (/\p{Mark}/u.test(char)) continue;
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u.test(
        char,
      )
        ? 2
        : 1;
  }
  return width;
}
