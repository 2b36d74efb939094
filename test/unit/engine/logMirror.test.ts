import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { LogMirror, type LogSource } from '../../../src/engine/logMirror';
import { droppedLine, logSize, newestFile, piecesOf, readBack } from '../../../src/engine/logParts';
import type { LogSink } from '../../../src/node';

/** A node's log, every byte of which tells where it is; the beginning of it may be gone. */
class NodeLog {
  size = 0;
  /** What lies between is gone. */
  gone: [from: number, to: number] = [0, 0];
  sink: LogSink | undefined;
  private at = 0;

  constructor(
    private readonly lineLength: number,
    private readonly mark: string,
  ) {}

  bytes(from: number, to: number): Buffer {
    const first = Math.floor(from / this.lineLength);
    const lines = Array.from({ length: Math.ceil(to / this.lineLength) - first }, (_, n) =>
      `${this.mark}${first + n}`.padEnd(this.lineLength - 1, '.'),
    );
    return Buffer.from(lines.map((line) => `${line}\n`).join('')).subarray(
      from - first * this.lineLength,
      to - first * this.lineLength,
    );
  }

  follow(sink: LogSink, offset: number): { stop(): void } {
    this.sink = sink;
    this.at = offset;
    return { stop: () => (this.sink = undefined) };
  }

  async send(most: number): Promise<void> {
    const [from, to] = this.gone;
    if (this.at >= from && this.at < to) this.at = to;
    const end = Math.min(this.size, this.at + most, this.at < from ? from : this.size);
    if (!this.sink || end <= this.at) return;
    const at = this.at;
    this.at = end;
    const lent = this.bytes(at, end);
    await this.sink.data(at, lent);
    lent.fill('!');
  }

  async finish(): Promise<void> {
    while (this.sink && this.at < this.size) await this.send(1000);
    this.sink?.end(this.size);
  }
}

const seed = Number(process.env.CLUSTER_QUEUE_SEED ?? Date.now() % 1e6);

describe('the mirror of logs', () => {
  let dir = '';
  let file = '';
  beforeEach(() => {
    seen = Buffer.alloc(0);
    dir = mkdtempSync(path.join(os.tmpdir(), 'cq-mirror-'));
    file = path.join(dir, '1-a.log');
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const text = async (): Promise<string> => {
    const pieces: string[] = [];
    for await (const { bytes, dropped } of piecesOf(file)) {
      if (dropped > 0) pieces.push(`<${dropped}>`);
      pieces.push(bytes.toString('latin1'));
    }
    return pieces.join('');
  };
  const sourceOf = (logs: readonly NodeLog[]): LogSource => ({
    follow: (uuid, offset, sink) => {
      const log = logs[Number(uuid)];
      assert.ok(log);
      return log.follow(sink, offset);
    },
  });
  // All that was ever appended, at its position.
  let seen: Buffer = Buffer.alloc(0);
  const open = async (logs: readonly NodeLog[], limit: number): Promise<LogMirror> => {
    const mirror = new LogMirror(file, limit);
    mirror.onAppend(({ at, bytes }) => {
      assert.ok(at <= seen.length);
      seen = Buffer.concat([seen.subarray(0, at), bytes]);
    });
    mirror.onTrouble((error) => assert.fail(error));
    await mirror.assign(logs.map((_, rank) => ({ uuid: String(rank), node: `n${rank}` })));
    const source = sourceOf(logs);
    for (const rank of logs.keys()) await mirror.attach(`n${rank}`, source);
    return mirror;
  };

  it('says once and where what was dropped, also in the middle of a line, and goes on at the exact byte', async () => {
    const log = new NodeLog(10, 'x');
    log.size = 25;
    let mirror = await open([log], 0);
    await log.send(25);
    log.size = 100;
    log.gone = [25, 62];
    await mirror.dispose();
    mirror = await open([log], 0);
    await log.send(20);
    await mirror.dispose();
    mirror = await open([log], 0);
    await log.finish();
    assert.ok(mirror.complete);
    const [head, tail] = [log.bytes(0, 25).toString(), log.bytes(62, 100).toString()];
    assert.equal(await text(), `${head}\n${droppedLine(37)}${tail}`);
    assert.equal(mirror.size, logSize(file));
    await mirror.dispose();
  });

  it('makes its folder, and goes on where its parts end though its first file is gone', async () => {
    file = path.join(dir, 'lab', 'more', '1-a.log');
    const log = new NodeLog(10, 'x');
    log.size = 100;
    log.gone = [25, 62];
    let mirror = await open([log], 0);
    await log.send(25);
    await log.send(8);
    await mirror.dispose();
    const { size } = mirror;
    rmSync(file);
    mirror = await open([log], 0);
    assert.equal(mirror.size, size);
    await log.finish();
    await mirror.dispose();
    assert.equal(mirror.size, size + 30);
  });

  it('of a job that has not begun has no end, and is asked for again', async () => {
    const log = new NodeLog(10, 'x');
    const mirror = new LogMirror(file);
    await mirror.assign([{ uuid: '0', node: 'n0' }], false);
    const source = sourceOf([log]);
    await mirror.attach('n0', source);
    // The node has given the job back.
    await log.finish();
    mirror.begin();
    assert.ok(!mirror.complete);
    log.size = 100;
    await mirror.attach('n0', source);
    await log.finish();
    await mirror.dispose();
    assert.ok(mirror.complete);
    assert.equal(await text(), log.bytes(0, 100).toString());
  });

  it('keeps what is only lent, however much comes while the disk is at it', async () => {
    const logs = [new NodeLog(100, 'x'), new NodeLog(1000, 'y')];
    const mirror = await open(logs, 0);
    for (let turn = 0; turn < 20; turn++) {
      const log = logs[turn % 2];
      const count = [90, 9_000, 32_759, 300_000][turn % 4] ?? 0;
      assert.ok(log);
      log.size += count;
      await log.send(count);
    }
    for (const log of logs) {
      log.size = Math.ceil(log.size / 1000) * 1000;
      await log.finish();
    }
    if (!mirror.complete) await new Promise<void>((resolve) => mirror.onEnd(resolve));
    await mirror.dispose();
    const whole = await text();
    assert.ok(whole === seen.toString('latin1'));
    for (const [rank, log] of logs.entries())
      assert.ok(own(whole, rank) === log.bytes(0, log.size).toString(), `rank ${rank}`);
  });

  const steps = fc.array(
    fc.record({
      rank: fc.nat(2),
      kind: fc.constantFrom('grow', 'grow', 'send', 'send', 'send', 'drop', 'cut', 'kill', 'tear'),
      by: fc.integer({ min: 1, max: 3000 }),
    }),
    { minLength: 20, maxLength: 60 },
  );

  for (const ranks of [1, 3]) {
    it(`of ${ranks === 1 ? 'one rank' : 'several'} has each kept byte once, however it was cut off (seed ${seed})`, async () => {
      await fc.assert(
        fc.asyncProperty(steps, fc.constantFrom(0, 3000), async (todo, limit) => {
          file = path.join(mkdtempSync(path.join(dir, 'run-')), '1-a.log');
          seen = Buffer.alloc(0);
          const logs = Array.from(
            { length: ranks },
            (_, rank) => new NodeLog(17 + rank * 10, 'abc'[rank] ?? ''),
          );
          let mirror = await open(logs, limit);
          for (const { rank, kind, by } of todo) {
            const log = logs[rank % ranks];
            assert.ok(log);
            if (kind === 'grow') log.size += by;
            else if (kind === 'send') await log.send(by);
            // Never the end, as on a node.
            else if (kind === 'drop' && log.size > by)
              log.gone = [Math.floor((log.size - by) / 3), log.size - by];
            else if (kind === 'cut') {
              for (const other of logs.keys()) mirror.detach(`n${other}`);
              for (const other of logs.keys()) await mirror.attach(`n${other}`, sourceOf(logs));
            } else if (kind === 'kill' || kind === 'tear') {
              await mirror.dispose();
              const newest = newestFile(file);
              // What a power cut takes away of what had not reached the disk.
              if (kind === 'tear') truncateSync(newest, Math.max(0, statSync(newest).size - (by % 40)));
              mirror = await open(logs, limit);
            }
          }
          for (const log of logs) await log.finish();
          if (!mirror.complete) await new Promise<void>((resolve) => mirror.onEnd(resolve));
          await mirror.dispose();
          assert.equal(logSize(file), seen.length);
          const whole = seen.toString('latin1');
          if (limit === 0) assert.equal(await text(), whole);
          for (const [rank, log] of logs.entries()) accounted(log, ranks === 1 ? whole : own(whole, rank));
        }),
        { seed, numRuns: 40 },
      );
    });
  }

  it('keeps its beginning and its end, and no more than it may', async () => {
    const limit = 400_000;
    const log = new NodeLog(100, 'x');
    const mirror = await open([log], limit);
    let most = 0;
    for (log.size = 0; log.size < 2_000_000; log.size += 5000) {
      await log.send(5000);
      most = Math.max(
        most,
        readdirSync(dir).reduce((sum, entry) => sum + statSync(path.join(dir, entry)).size, 0),
      );
    }
    const over = new Promise((resolve) => mirror.onEnd(() => resolve(undefined)));
    await log.finish();
    await over;
    assert.ok(most <= limit && most > limit / 2, `${most} bytes`);
    assert.deepEqual(seen, log.bytes(0, log.size), 'who listens gets all of it');
    assert.equal(logSize(file), log.size);
    const [, head = '', gap, tail = ''] = /^([^<]*)<(\d+)>([^<]*)$/.exec(await text()) ?? [];
    assert.equal(head, log.bytes(0, head.length).toString());
    assert.equal(tail, log.bytes(log.size - tail.length, log.size).toString());
    assert.equal(head.length + Number(gap) + tail.length, log.size);
    assert.ok(tail.length >= limit / 4);
    // Back from the end, as far as there is anything.
    let end = log.size;
    for (;;) {
      const { at, bytes } = await readBack(file, end, 30_000);
      if (bytes.length === 0) break;
      assert.deepEqual(bytes, log.bytes(at, end));
      end = at;
    }
    assert.equal(end, log.size - tail.length);
    await mirror.dispose();

    const again = await open([log], limit);
    await log.finish();
    assert.equal(logSize(file), log.size);
    await again.dispose();
  });
});

/** The lines of one rank in a merged log, without its prefix. */
function own(merged: string, rank: number): string {
  const prefix = `(rank ${rank}, n${rank}) `;
  const lines = merged.split(/(?<=\n)/).filter((line) => line.startsWith(prefix));
  return lines.map((line) => line.slice(prefix.length)).join('');
}

/** Checks that a text is the log with a line for each part of it that was dropped. */
function accounted(log: NodeLog, kept: string): void {
  const gap = /\[cluster-queue\] (\d+) bytes of this log were dropped here[^\n]*\n/;
  // Where a piece may end: a line break at its end is the log's own, or ends a line that broke off there.
  let ends = [0];
  for (let rest = kept; ;) {
    const found = gap.exec(rest);
    const piece = rest.slice(0, found?.index ?? rest.length);
    const broken = piece.replace(/\n$/, '');
    const froms = ends;
    ends = froms.flatMap((from) =>
      [...new Set([piece, broken])]
        .filter((text) => text === log.bytes(from, from + text.length).toString())
        .map((text) => from + text.length),
    );
    assert.notDeepEqual(ends, [], `what follows ${froms.join(' or ')} is not of the log: ${piece}`);
    if (!found) break;
    ends = ends.map((end) => end + Number(found[1]));
    rest = rest.slice(found.index + found[0].length);
  }
  assert.ok(ends.includes(log.size), `${ends.join(' or ')} of ${log.size}`);
}
