import * as vscode from 'vscode';
import type { Queue, QueueLog } from '../control';
import { logSize, readLog } from '../engine/logParts';
import { duration, isFinished, placementText, type JobRecord } from '../queue';
import type { WindowQueue } from '../window';
import { ChannelText } from './channelText';

// An output channel is a document in memory: a long log is shown from its end, and cut back when it has grown.
const SHOWN_FROM_BYTES = 1 << 20;
const LARGEST_CHARS = 4 << 20;
const MOST_CHANNELS = 20;

/** Output channels with jobs' logs, opened on demand, live from the first line. */
export class LogChannels implements vscode.Disposable {
  private readonly channels = new Map<string, JobChannel>();
  private readonly subscription: vscode.Disposable;

  constructor(private readonly window: WindowQueue) {
    this.subscription = window.onDidChange(({ jobs }) => {
      for (const record of jobs) this.channels.get(record.uuid)?.update(record);
    });
  }

  /** Shows a job's log without taking the focus. @throws QueueError */
  async show(cluster: string, id: number): Promise<void> {
    const queue = await this.window.open();
    const { record } = queue.job(cluster, id);
    let channel = this.channels.get(record.uuid);
    if (!channel) {
      this.makeRoom();
      channel = new JobChannel(queue, record);
      this.channels.set(record.uuid, channel);
      channel.start();
    }
    channel.reveal();
  }

  dispose(): void {
    this.subscription.dispose();
    for (const channel of this.channels.values()) channel.dispose();
  }

  private makeRoom(): void {
    for (const [uuid, channel] of this.channels) {
      if (this.channels.size < MOST_CHANNELS) return;
      if (!channel.ended) continue;
      channel.dispose();
      this.channels.delete(uuid);
    }
  }
}

class JobChannel implements vscode.Disposable {
  private readonly channel: vscode.OutputChannel;
  private readonly text = new ChannelText();
  private readonly mirror: QueueLog;
  private readonly release: () => void;
  private readonly unsubscribe: (() => void)[] = [];
  private chars = 0;
  private shownTo = 0;
  private atLineStart = true;
  private status = '';
  /** What was in the log when the channel was opened is shown: until then nothing can come after it. */
  private caughtUp = false;
  ended = false;

  constructor(
    private readonly queue: Queue,
    private record: JobRecord,
  ) {
    this.channel = vscode.window.createOutputChannel(`${record.cluster} job ${record.id} (${record.name})`);
    const { mirror, release } = queue.log(record.cluster, record.id);
    this.mirror = mirror;
    this.release = release;
  }

  /** Writes what there is, and then whatever comes. */
  start(): void {
    this.update(this.record);
    const waiting: { at: number; bytes: Buffer }[] = [];
    this.unsubscribe.push(
      this.mirror.onAppend((append) => {
        if (this.caughtUp) this.write(append.at, append.bytes);
        else waiting.push({ at: append.at, bytes: Buffer.from(append.bytes) });
      }),
      this.mirror.onEnd(() => this.end()),
    );
    void this.writeTail().finally(() => {
      this.caughtUp = true;
      for (const { at, bytes } of waiting) this.write(at, bytes);
      if (this.mirror.complete) this.end();
    });
  }

  reveal(): void {
    this.channel.show(true);
  }

  /** The job changed: says so in the channel where nothing else would. */
  update(record: JobRecord): void {
    this.record = record;
    if (record.status === this.status) return;
    this.status = record.status;
    if (record.status === 'PENDING') {
      const { reason } = this.queue.job(record.cluster, record.id);
      const why = reason === undefined || reason.kind === 'starting' ? '' : `: ${reason.text}`;
      this.note(vscode.l10n.t('job {0} is queued on {1}{2}', record.id, record.cluster, why));
    }
    if (record.status === 'SETTING_UP') {
      const nodes = record.placement ? placementText(record.placement) : '';
      this.note(vscode.l10n.t('job {0} starts on {1}', record.id, nodes));
    }
    if (this.mirror.complete) this.end();
  }

  dispose(): void {
    for (const stop of this.unsubscribe) stop();
    this.release();
    this.channel.dispose();
  }

  private async writeTail(): Promise<void> {
    const { file } = this.mirror;
    const size = logSize(file) ?? 0;
    for (let from = Math.max(0, size - SHOWN_FROM_BYTES); from < size; from = this.shownTo) {
      if (this.shownTo === 0 && from > 0)
        this.note(vscode.l10n.t('the first {0} MB are in the whole log: {1}', Math.round(from / 1e6), file));
      const { at, bytes } = await readLog(file, from, size - from);
      if (bytes.length === 0) return;
      this.write(at, bytes, at);
    }
  }

  /** Bytes of the file that begin at `at`; what was shown already is passed over. */
  private write(at: number, bytes: Buffer, from = this.shownTo): void {
    const fresh = bytes.subarray(Math.max(0, from - at));
    this.shownTo = Math.max(this.shownTo, at + bytes.length);
    if (fresh.length > 0) this.put(this.text.push(fresh));
  }

  private put(text: string): void {
    if (text === '') return;
    this.chars += text.length;
    if (this.chars > LARGEST_CHARS) {
      this.channel.replace(
        `[cluster-queue] ${vscode.l10n.t('earlier output is in the whole log: {0}', this.mirror.file)}\n`,
      );
      this.chars = text.length;
    }
    this.channel.append(text);
    this.atLineStart = text.endsWith('\n');
  }

  private note(text: string): void {
    this.put(`${this.atLineStart ? '' : '\n'}[cluster-queue] ${text}\n`);
  }

  private end(): void {
    if (this.ended || !this.caughtUp || !isFinished(this.record.status)) return;
    this.ended = true;
    this.put(this.text.end());
    const { record } = this;
    const took =
      record.startedAt !== undefined && record.endedAt !== undefined
        ? ` after ${duration(record.endedAt - record.startedAt)}`
        : '';
    this.note(
      `job ${record.id} ${record.status}${took}${record.message === undefined ? '' : `: ${record.message}`}`,
    );
    this.release();
  }
}
