import path from 'node:path';
import { encodeWord, giveCommand } from '../node';
import type { JobRecord } from '../queue';
import type { Channel } from '../transport';
import { QueueError } from './errors';
import { receiveTar, type Received } from './files/receive';
import { rankUuid } from './jobRun';

/** What is fetched from a job's working directory, and where to. */
export interface FetchRequest {
  readonly cluster: string;
  readonly id: number;
  /** Shell patterns, relative to the job's working directory. */
  readonly patterns: readonly string[];
  /** Absolute local folder; with several ranks, each gets `rank-N` in it. */
  readonly to: string;
}

/** How far a fetch is; `totalBytes` is what the nodes' disks use for it, about as much. */
export interface FetchProgress {
  readonly files: number;
  readonly bytes: number;
  readonly totalBytes: number;
}

/** Who waits for a fetch. */
export interface FetchWatcher {
  readonly progress: (progress: FetchProgress) => void;
  readonly signal: AbortSignal;
}

/** @throws QueueError `outputs` for a pattern that leads out of the job's folder */
export function checkPatterns(patterns: readonly string[]): void {
  for (const pattern of patterns) {
    if (
      pattern === '' ||
      pattern.startsWith('/') ||
      pattern.startsWith('~') ||
      pattern.split('/').includes('..')
    )
      throw new QueueError(
        'outputs',
        `"${pattern}" does not name something in the job's own folder: write a pattern relative to it, e.g. 'results/*'`,
      );
  }
}

/**
 * Fetches files from a job's working directory, from the nodes of all its ranks; what is here already is replaced file by
 * file. @throws QueueError `outputs` that names the node and says why; the signal's reason
 */
export async function fetchOutputs(
  record: JobRecord,
  request: FetchRequest,
  exec: (node: string, command: string) => Promise<Channel>,
  watcher: FetchWatcher,
): Promise<Received> {
  const ranks = record.placement?.ranks ?? [];
  if (ranks.length === 0)
    throw new QueueError(
      'outputs',
      `job ${record.id} of ${record.cluster} has not been on a node (${record.status})`,
    );
  const total = { files: 0, bytes: 0, skipped: [] as string[] };
  let expected = 0;
  for (const [rank, { node }] of ranks.entries()) {
    watcher.signal.throwIfAborted();
    const to = ranks.length === 1 ? request.to : path.join(request.to, `rank-${rank}`);
    const channel = await exec(node, giveCommand(rankUuid(record.uuid, rank)));
    const stop = (): void => {
      channel.stdin.destroy();
      channel.stdout.destroy(new Error('given up'));
    };
    watcher.signal.addEventListener('abort', stop, { once: true });
    try {
      const got = await receiveRank(channel, record, node, request.patterns, to, (files, bytes, size) => {
        watcher.progress({
          files: total.files + files,
          bytes: total.bytes + bytes,
          totalBytes: expected + size,
        });
      });
      expected += got.bytes;
      total.files += got.files;
      total.bytes += got.bytes;
      total.skipped.push(...got.skipped);
    } catch (error) {
      watcher.signal.throwIfAborted();
      throw error;
    } finally {
      watcher.signal.removeEventListener('abort', stop);
      stop();
    }
  }
  return total;
}

async function receiveRank(
  channel: Channel,
  record: JobRecord,
  node: string,
  patterns: readonly string[],
  to: string,
  progress: (files: number, bytes: number, size: number) => void,
): Promise<Received> {
  let said = '';
  channel.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString('utf8')).slice(-1000)));
  channel.stdin.on('error', () => undefined);
  channel.stdin.end(patterns.map((pattern) => `${encodeWord(pattern)}\n`).join(''));
  const chunks = channel.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
  const { line, rest } = await firstLine(chunks);
  const size = /^CQ1 tar (\d*)$/.exec(line)?.[1];
  if (size === undefined) throw new QueueError('outputs', refusal(line, record, node, patterns, said));
  progress(0, 0, Number(size) * 1024);
  const stream = async function* (): AsyncGenerator<Buffer> {
    yield rest;
    for (;;) {
      const next = await chunks.next();
      if (next.done === true) return;
      yield next.value;
    }
  };
  const got = await receiveTar(stream(), to, (files, bytes) => progress(files, bytes, Number(size) * 1024));
  const { code } = await channel.exit;
  if (code !== 0)
    throw new QueueError(
      'outputs',
      `fetching from ${node} broke off: ${said.trim() || 'the connection broke'}; what came is in ${to}`,
    );
  return got;
}

async function firstLine(chunks: AsyncIterator<Buffer, undefined>): Promise<{ line: string; rest: Buffer }> {
  let head = Buffer.alloc(0);
  for (;;) {
    const end = head.indexOf(10);
    if (end >= 0) return { line: head.subarray(0, end).toString('utf8'), rest: head.subarray(end + 1) };
    const next = await chunks.next();
    if (next.done === true) return { line: head.toString('utf8'), rest: Buffer.alloc(0) };
    head = Buffer.concat([head, next.value]);
  }
}

function refusal(
  line: string,
  { id }: JobRecord,
  node: string,
  patterns: readonly string[],
  said: string,
): string {
  switch (line) {
    case 'CQ1 gone':
      return `the folder of job ${id} on ${node} is gone: what ended jobs leave is kept there for a while only`;
    case 'CQ1 home':
      return `job ${id} has no folder of its own on ${node}: its task has no workdir, so it ran in the home folder there`;
    case 'CQ1 empty':
      return `nothing in the folder of job ${id} on ${node} matches ${patterns.join(' ')}`;
    default:
      return `fetching from ${node} failed: ${[line, said].join(' ').trim() || 'the connection broke'}`;
  }
}
