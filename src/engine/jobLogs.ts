import { isFinished, type JobRecord } from '../queue';
import type { AgentSession } from '../node';
import type { Urgency } from '../store';
import type { JobPatch } from './jobRun';
import { rankUuid } from './jobRun';
import { LogKeeper } from './logKeeper';
import { LogMirror, logFileOf } from './logMirror';
import { logSize } from './logParts';

// Ends come one by one; their nodes are told of some in one message.
const TELL_MS = 100;

/** What the logs of jobs need from the engine around them. */
export interface JobLogsHost {
  /** The state folder. */
  readonly home: string;
  /** Bytes of one log that are kept; 0 for no bound. */
  readonly maxBytes: number;
  /** A job as it is now, unless the engine is closed. */
  find(uuid: string): JobRecord | undefined;
  /** Stores a change of a job. */
  patch(record: JobRecord, patch: JobPatch, urgency?: Urgency): Promise<void>;
  /** The session of a cluster's node, when it can be talked to. */
  session(cluster: string, node: string): AgentSession | undefined;
  /** Whether all that a job's nodes are asked now reaches them after its launch. */
  isSent(record: JobRecord): boolean;
  /** Has a cluster's nodes connected to, without waiting. */
  want(cluster: string): void;
  complain(error: unknown): void;
}

interface Held {
  readonly mirror: LogMirror;
  users: number;
  /** It is followed on nodes that are only being told of the job. */
  early: boolean;
}

/** The logs of all jobs, mirrored here while somebody holds them, and brought here when their jobs have ended. */
export class JobLogs {
  private readonly held = new Map<string, Held>();
  private readonly keeper: LogKeeper;
  /** Ranks whose logs are kept here, which their nodes do not know yet. */
  private readonly kept: { readonly cluster: string; readonly node: string; readonly uuid: string }[] = [];
  private telling: NodeJS.Timeout | undefined;

  constructor(private readonly host: JobLogsHost) {
    this.keeper = new LogKeeper({
      log: (record) => this.hold(host.find(record.uuid) ?? record),
      reachable: ({ cluster, placement }) =>
        placement?.ranks.every(({ node }) => host.session(cluster, node)) === true,
    });
  }

  /** Uuids of jobs whose logs are held, or still to come. */
  get needed(): string[] {
    return [...this.held.keys(), ...this.keeper.missing];
  }

  /** Where a job's log is mirrored. */
  file(record: JobRecord): string {
    return logFileOf(this.host.home, record);
  }

  /** A job's log as a local file that grows while it is held. All who hold it have one mirror; each calls `release` once. */
  hold(record: JobRecord): { mirror: LogMirror; release: () => void } {
    let held = this.held.get(record.uuid);
    if (!held) {
      const mirror = new LogMirror(this.file(record), this.host.maxBytes);
      held = { mirror, users: 0, early: false };
      this.held.set(record.uuid, held);
      mirror.onEnd(() => this.complete(record.uuid, mirror));
      mirror.onTrouble((error) => this.host.complain(error));
      this.assign(held, record);
    }
    const entry = held;
    entry.users++;
    let released = false;
    return {
      mirror: entry.mirror,
      release: () => {
        if (released) return;
        released = true;
        if (--entry.users > 0) return;
        this.held.delete(record.uuid);
        void entry.mirror.dispose();
      },
    };
  }

  /** A job ended in an earlier life of the engine, and its log may not be here. */
  keep(record: JobRecord): void {
    this.keeper.add(record);
  }

  /** A job is on its way to its nodes: its first line is awaited there, not asked for when it has begun. */
  sent(record: JobRecord): void {
    const held = this.held.get(record.uuid);
    if (held && record.status === 'SETTING_UP' && this.host.isSent(record)) this.assign(held, record);
  }

  /** A job has changed: its log may begin somewhere, or may have to be brought here now. */
  changed(before: JobRecord, record: JobRecord, patch: JobPatch): void {
    const held = this.held.get(record.uuid);
    if (!isFinished(before.status) && isFinished(record.status)) {
      if (held?.mirror.complete) this.complete(record.uuid, held.mirror);
      else this.keeper.add(record);
    }
    const begins = before.status === 'SETTING_UP' && record.status !== 'SETTING_UP';
    if (held?.early && begins && record.status === 'RUNNING') {
      held.early = false;
      held.mirror.begin();
      this.follow(held, record);
    } else if (held && (patch.placement || begins || (isFinished(record.status) && !record.placement))) {
      this.assign(held, record);
    }
  }

  /** A node can be talked to. */
  attach(node: string, session: AgentSession): void {
    for (const { mirror, early } of this.held.values())
      // One that has not heard of the job would say that its log is complete.
      if (!early) void mirror.attach(node, session).catch((error: unknown) => this.host.complain(error));
    this.keeper.soon();
  }

  /** A node cannot be talked to any more. */
  detach(node: string): void {
    for (const { mirror } of this.held.values()) mirror.detach(node);
  }

  /** Brings no more logs of ended jobs here. */
  stopKeeping(): void {
    this.keeper.close();
    this.tell();
  }

  /** Lets go of all logs. */
  async close(): Promise<void> {
    await Promise.all([...this.held.values()].map(({ mirror }) => mirror.dispose()));
    this.held.clear();
  }

  /** Tells a mirror where the job's ranks are, and lets it follow those that can be reached. */
  private assign(held: Held, record: JobRecord): void {
    const { mirror } = held;
    // A node that has not heard of the job yet (its workdir is on the way) would say that its log is complete.
    const settingUp = record.status === 'SETTING_UP';
    held.early = settingUp && this.host.isSent(record);
    const here = record.logBytes !== undefined && logSize(mirror.file) === record.logBytes;
    const ranks = (settingUp && !held.early) || here ? [] : (record.placement?.ranks ?? []);
    const sources = ranks.map(({ node }, rank) => ({ node, uuid: rankUuid(record.uuid, rank) }));
    mirror
      .assign(sources, !held.early)
      .then(() => {
        if (isFinished(record.status) && ranks.length === 0) mirror.abandon();
        if (sources.length > 0) this.follow(held, record);
      })
      .catch((error: unknown) => this.host.complain(error));
  }

  private follow({ mirror, early }: Held, record: JobRecord): void {
    // A connection has broken since: the job is sent again by the next, or was begun.
    if (early && !this.host.isSent(record)) return;
    for (const { node } of record.placement?.ranks ?? []) {
      const session = this.host.session(record.cluster, node);
      if (session) mirror.attach(node, session).catch((error: unknown) => this.host.complain(error));
      else this.host.want(record.cluster);
    }
  }

  /** All of a log is here: if its job has ended too, its nodes need not keep it. */
  private complete(uuid: string, { size }: LogMirror): void {
    const record = this.host.find(uuid);
    if (!record || !isFinished(record.status) || !record.placement) return;
    this.keeper.arrived(uuid);
    if (record.logBytes === size) return;
    this.host
      .patch(record, { logBytes: size }, 'soon')
      .then(() => {
        const { cluster, placement } = record;
        for (const [rank, { node }] of (placement?.ranks ?? []).entries())
          this.kept.push({ cluster, node, uuid: rankUuid(uuid, rank) });
        this.telling ??= setTimeout(() => this.tell(), TELL_MS);
      })
      // Then its nodes keep it for longer.
      .catch(() => undefined);
  }

  /** Says to the nodes whose logs are kept; one that cannot be told keeps them for longer. */
  private tell(): void {
    clearTimeout(this.telling);
    this.telling = undefined;
    const bySession = new Map<AgentSession, string[]>();
    for (const { cluster, node, uuid } of this.kept.splice(0)) {
      const session = this.host.session(cluster, node);
      if (session) bySession.set(session, [...(bySession.get(session) ?? []), uuid]);
    }
    for (const [session, uuids] of bySession) session.told(uuids).catch(() => undefined);
  }
}
