import {
  SessionClosedError,
  type AgentSession,
  type EndKind,
  type NodeEvent,
  type NodeJobState,
  type RankUse,
} from '../node';
import { isFinished, timeLimitText, type JobRecord, type JobStatus, type Placement } from '../queue';
import type { MutableField, Urgency } from '../store';

/** What may change in a job after submit. */
export type JobPatch = Partial<Pick<JobRecord, MutableField>>;

/** What a run asks of its cluster. */
export interface RunHost {
  /** The open session of a node, when there is one. */
  session(node: string): AgentSession | undefined;
  /** Bash text for one rank, see `rankEnvironment`. */
  environment(run: JobRun, rank: number): string;
  /** Files the job needs are on the node when this resolves. @throws the signal's reason */
  prepare(run: JobRun, node: string, session: AgentSession, signal: AbortSignal): Promise<void>;
  /** A rank, with what files it needs, is on its way to a node. Returns what to call when it is sent, or is not to be. */
  sending(node: string): () => void;
  /** The node gets a rank by what is sent now: what that node is asked from now on it reads after it. */
  sent(run: JobRun): void;
  leases(run: JobRun, rank: number): string[];
  /** What the rank takes, for the node's books. */
  use(run: JobRun, rank: number): RankUse;
  readonly graceS: number;
  now(): number;
  /** Applies and stores a change; resolves when it is durable. */
  update(run: JobRun, patch: JobPatch, urgency?: Urgency): Promise<void>;
  /** The devices of this rank are free. */
  released(run: JobRun, rank: number): void;
  /** The launch was refused and nothing of it is left: back into the queue. */
  requeue(run: JobRun): void;
  /** What can be said of it is another. */
  changed(run: JobRun): void;
  /** A device turned out to be another queue's. */
  foreign(node: string, lease: string, user?: string): void;
  /**
   * A node did not take a job: one of the two is left alone for a while. Where no node will ever take the job, returns why,
   * for a person.
   */
  blame(job: string, node: string, error: unknown): string | undefined;
  finished(run: JobRun): void;
}

/** `unsent`: the node may or may not have heard of it; it is sent (again) as soon as the node can be talked to. */
type RankState = 'unsent' | 'sent' | 'ready' | 'running' | 'ended';

interface Rank {
  readonly node: string;
  readonly uuid: string;
  state: RankState;
  /** By which its launch was sent last. */
  session: AgentSession | undefined;
  /** Which try it is at, from 1. */
  try: number;
  code: number | null;
  how: EndKind | 'refused' | 'lost' | 'killed' | undefined;
  cancelSent: boolean;
  /** Its log cannot be written. */
  unwritten: boolean;
}

/** Identity of one rank of a job on its node. */
export function rankUuid(jobUuid: string, rank: number): string {
  return `${jobUuid}-${rank}`;
}

/** One dispatched job: its ranks on their nodes, from the first message to the last exit code. */
export class JobRun {
  readonly ranks: Rank[];
  /** Why the ranks that still live are being ended. */
  private stopping: 'user' | 'rank' | 'requeue' | undefined;
  private firstFailure: number | undefined;
  /** The first rank that ended before it began. */
  private cutOff: number | undefined;
  /** Why the try before this one ended. */
  private retried: { readonly index: number; readonly code: number } | undefined;
  private done = false;
  /** Ends syncs on the way when nobody needs them. */
  private readonly files = new AbortController();

  constructor(
    public record: JobRecord,
    readonly placement: Placement,
    private readonly host: RunHost,
  ) {
    this.ranks = placement.ranks.map(({ node }, rank) => ({
      node,
      uuid: rankUuid(record.uuid, rank),
      state: 'unsent',
      session: undefined,
      try: 1,
      code: null,
      how: undefined,
      cancelSent: false,
      unwritten: false,
    }));
    if (record.cancelling === true) this.stopping = 'user';
  }

  /** Sends the launch to every node that can be talked to, and resolves when those know. The placement must be durable before. */
  async launch(): Promise<void> {
    await Promise.all(this.ranks.map((_rank, index) => this.send(index)));
  }

  /** True while a node that can be talked to has not said yet whether the only rank has begun or was refused. */
  get isStarting(): boolean {
    const [rank, ...others] = this.ranks;
    return others.length === 0 && rank?.state === 'sent' && this.host.session(rank.node) !== undefined;
  }

  /** True when all that a rank's node is asked now reaches it after the launch. */
  isSent(index: number): boolean {
    const { node, session } = this.rank(index);
    return session !== undefined && session === this.host.session(node);
  }

  /** Ranks of this run on a node, as indices. */
  on(node: string): number[] {
    return this.ranks.flatMap((rank, index) => (rank.node === node && rank.state !== 'ended' ? [index] : []));
  }

  /** Why it may stand still though it runs, for a person. */
  get trouble(): string | undefined {
    const rank = this.ranks.find(({ unwritten }) => unwritten);
    return rank && `its log on ${rank.node} cannot be written (is the disk full?): it waits when it prints`;
  }

  /** The user wants it ended. */
  cancel(): void {
    if (this.done) return;
    this.stopping = 'user';
    this.stopRest();
  }

  /** A node's connection broke: what it said of its ranks may hold no more, and is asked anew when it comes back. */
  detached(node: string): void {
    for (const rank of this.ranks) {
      if (rank.node !== node) continue;
      if (rank.state === 'ready') rank.state = 'sent';
      rank.unwritten = false;
    }
  }

  /** The node itself says that it knows nothing of the job any more. */
  lose(index: number, message: string): void {
    if (this.rank(index).state !== 'ended') this.endRank(index, null, 'lost', 0, message);
  }

  event(index: number, event: NodeEvent): void {
    const rank = this.rank(index);
    if (this.done || rank.state === 'ended') return;
    switch (event.kind) {
      case 'started':
        this.begun(event.age);
        this.at(index, 'running', event.try);
        break;
      case 'ready':
        this.at(index, 'ready', event.try);
        this.maybeGo();
        break;
      case 'retrying':
        if (event.try > this.tries) this.retried = { index, code: event.code };
        this.at(index, 'sent', event.try);
        break;
      case 'busy':
        this.host.foreign(rank.node, event.device, event.user);
        this.refused(index);
        break;
      case 'ended':
        this.endTry(index, event.try);
        this.endRank(index, event.code, event.how, event.age);
        break;
      case 'unwritten':
        rank.unwritten = event.unwritten;
        this.host.changed(this);
        break;
      case 'taken':
        break;
    }
  }

  /** What a node that came (back) says of a rank, or what it answered to a launch. */
  reconcile(index: number, state: NodeJobState): void {
    const rank = this.rank(index);
    if (this.done || rank.state === 'ended') return;
    switch (state.state) {
      case 'unknown':
        if (rank.state === 'running' || this.record.status === 'RUNNING') {
          this.lose(index, `${rank.node} came back and knows nothing of the job (was its home wiped?)`);
        } else if (this.stopping) {
          this.endRank(index, null, 'refused', 0);
        } else {
          rank.state = 'unsent';
          void this.send(index);
        }
        return;
      case 'new':
        if (this.stopping) this.sendCancel(index);
        else {
          rank.state = 'unsent';
          void this.send(index);
        }
        return;
      case 'waiting':
        if (state.age !== undefined) this.begun(state.age);
        // A gang's rank may have said `ready` when nobody listened, or since this was looked up.
        this.at(
          index,
          state.ready === true || (rank.state === 'ready' && rank.try === state.try) ? 'ready' : 'sent',
          state.try,
        );
        this.maybeGo();
        break;
      case 'pausing':
      case 'running':
        this.begun(state.age);
        this.at(index, state.state === 'running' ? 'running' : 'sent', state.try);
        break;
      case 'ended':
        if (state.ran !== undefined) this.begun(state.age + state.ran);
        this.endTry(index, state.try);
        this.endRank(index, state.code, state.how, state.age);
        return;
      case 'dead':
        // Ends what the supervisor left behind, and its log.
        this.host
          .session(rank.node)
          ?.cancel(rank.uuid, this.host.graceS)
          .catch(() => undefined);
        if (state.cause === 'reboot') {
          this.lose(index, `${rank.node} was restarted while the job ran`);
        } else {
          this.endRank(
            index,
            null,
            'killed',
            0,
            `the job's supervisor on ${rank.node} was killed; its exit code is unknown`,
          );
        }
        return;
    }
    if (this.stopping) this.sendCancel(index);
  }

  private async send(index: number): Promise<void> {
    const rank = this.rank(index);
    const session = this.host.session(rank.node);
    if (!session || rank.state !== 'unsent') return;
    if (this.stopping) {
      this.sendCancel(index);
      return;
    }
    rank.state = 'sent';
    const { timeoutS, retries } = this.record.spec;
    const arrived = this.host.sending(rank.node);
    try {
      await this.host.prepare(this, rank.node, session, this.files.signal);
      // Cancelled meanwhile: the node said that it knows nothing of the job, and so it must stay.
      if (this.isStopping()) {
        this.sendCancel(index);
        return;
      }
      const started = session.start({
        uuid: rank.uuid,
        leases: this.host.leases(this, index),
        graceS: this.host.graceS,
        hold: this.ranks.length > 1,
        ...(this.record.spec.snapshot === undefined ? {} : { snapshot: this.record.spec.snapshot }),
        env: this.host.environment(this, index),
        run: this.record.spec.run ?? 'true',
        ...(timeoutS === undefined ? {} : { timeoutS }),
        ...(retries === undefined ? {} : { retries }),
        use: this.host.use(this, index),
      });
      rank.session = session;
      this.host.sent(this);
      arrived();
      const answer = await started;
      if (answer.state !== 'started') this.reconcile(index, answer);
      else if (this.isStopping()) this.sendCancel(index);
    } catch (error) {
      if (error instanceof SessionClosedError) {
        // Whether it arrived is asked on the next connection.
        return;
      }
      if (this.files.signal.aborted) {
        this.sendCancel(index);
        return;
      }
      if (this.host.session(rank.node) !== session) {
        // The connection broke while files were on their way: nothing was started, and the node may never come back.
        this.refused(index);
        return;
      }
      const words = this.host.blame(this.record.uuid, rank.node, error);
      if (words === undefined) this.refused(index);
      else {
        this.message ??= words;
        this.stopping ??= 'rank';
        this.endRank(index, null, 'refused', 0);
      }
    } finally {
      arrived();
    }
  }

  private isStopping(): boolean {
    return this.stopping !== undefined;
  }

  /** This rank left nothing on its node; the others are called off, and then the job waits again. */
  private refused(index: number): void {
    this.stopping ??= 'requeue';
    this.endRank(index, null, 'refused', 0);
  }

  /** All devices are held: whoever waits may begin. Said again when a node comes back and still waits. */
  private maybeGo(): void {
    const { tries } = this;
    const may = (rank: Rank): boolean =>
      rank.try === tries && (rank.state === 'running' || rank.state === 'ready');
    if (this.stopping || !this.ranks.every(may)) return;
    for (const { node, uuid, state } of this.ranks) {
      if (state === 'ready')
        this.host
          .session(node)
          ?.go(uuid, tries)
          .catch(() => undefined);
    }
  }

  /** Which try the job is at, from 1: that of the rank which is furthest. */
  private get tries(): number {
    return this.record.tries ?? 1;
  }

  /** A rank is found in a state at a try: a gang's other ranks have to come to the same try. */
  private at(index: number, state: RankState, number: number): void {
    const rank = this.rank(index);
    rank.state = state;
    rank.try = number;
    this.goneOn(number);
    if (this.stopping) return;
    const done = this.ranks.findIndex((other) => other.state === 'ended' && other.try < this.tries);
    if (done >= 0) this.giveUpTrying(done);
    else this.ranks.forEach((other) => this.callAgain(other));
  }

  private endTry(index: number, number: number): void {
    this.rank(index).try = number;
    this.goneOn(number);
  }

  private goneOn(number: number): void {
    if (number > this.tries) void this.host.update(this, { tries: number });
  }

  /** Tells a rank that runs an earlier try than the rest of its gang to leave it and get ready. */
  private callAgain({ node, uuid, try: number, state }: Rank): void {
    const late = state === 'running' || state === 'ready' || state === 'sent';
    if (!late || number >= this.tries || this.ranks.length === 1) return;
    this.host
      .session(node)
      ?.again(uuid, this.tries)
      .catch(() => undefined);
  }

  /** A rank that has ended cannot begin anew, and a gang is tried again only as a whole. */
  private giveUpTrying(ended: number): void {
    const { index, code } = this.retried ?? {};
    const failed = index === undefined ? 'another' : `rank ${index} (${this.rank(index).node})`;
    this.message ??= `${failed} failed with exit code ${code ?? 'unknown'} when rank ${ended} (${this.rank(ended).node}) had succeeded: a gang is tried again only as a whole`;
    this.firstFailure = index ?? ended;
    this.stopping = 'rank';
    this.stopRest();
  }

  private begun(age: number): void {
    const { status, startedAt: known, submittedAt } = this.record;
    // Nodes count in whole seconds.
    const startedAt = Math.max(this.host.now() - age * 1000, submittedAt);
    if (status === 'SETTING_UP')
      void this.host.update(this, { status: 'RUNNING', startedAt: known ?? startedAt }, 'soon');
  }

  private endRank(index: number, code: number | null, how: Rank['how'], age: number, message?: string): void {
    const rank = this.rank(index);
    rank.state = 'ended';
    rank.code = code;
    rank.how = how;
    this.host.released(this, index);
    // Of a gang that had not begun this was the calling off, perhaps by an engine that is gone. Once another rank has begun,
    // starting over would run the job twice.
    const calledOff = how === 'no-go' || (how === 'cancelled' && this.ranks.length > 1);
    if (calledOff && this.record.status !== 'RUNNING') {
      this.stopping ??= 'requeue';
      this.cutOff ??= index;
    } else if ((code !== 0 || how === 'timeout') && how !== 'refused') {
      if (!this.stopping) this.firstFailure = index;
      this.stopping ??= 'rank';
    } else if (code === 0 && rank.try < this.tries && !this.stopping) this.giveUpTrying(index);
    if (how === 'no-go' && this.firstFailure === index) this.message ??= this.cutOffWords(index);
    if (message !== undefined) this.message ??= message;
    if (this.ranks.every(({ state }) => state === 'ended')) this.settle(age);
    else if (this.stopping) this.stopRest();
  }

  private message: string | undefined;

  private cutOffWords(index: number): string {
    const { node, code, try: number } = this.rank(index);
    return number > 1
      ? `rank ${index} (${node}) was not tried again: it did not hear in time that all others were ready; its exit code was ${code ?? 'unknown'}`
      : `rank ${index} (${node}) was cut off when the others began, and gave its devices back`;
  }

  private stopRest(): void {
    this.ranks.forEach((_rank, index) => this.sendCancel(index));
    this.files.abort();
  }

  private sendCancel(index: number): void {
    const rank = this.rank(index);
    const session = this.host.session(rank.node);
    if (!session || rank.state === 'ended' || rank.cancelSent) return;
    rank.cancelSent = true;
    session.cancel(rank.uuid, this.host.graceS).then(
      (answer) => {
        if (answer.state === 'unknown') this.endRankOnce(index);
        else if (answer.state === 'ended') this.reconcile(index, answer);
      },
      () => (rank.cancelSent = false),
    );
  }

  private endRankOnce(index: number): void {
    if (this.rank(index).state !== 'ended') this.endRank(index, null, 'refused', 0);
  }

  private settle(age: number): void {
    if (this.done) return;
    this.done = true;
    if (this.stopping === 'requeue') {
      if (this.record.status !== 'RUNNING') {
        void this.forgetThenRequeue();
        return;
      }
      // Another rank had begun, which its node told of only now.
      this.firstFailure ??= this.cutOff;
      if (this.cutOff !== undefined) this.message ??= this.cutOffWords(this.cutOff);
    }
    const { status, message } = this.verdict();
    const exitCodes = this.ranks.map(({ code }) => code);
    const patch: JobPatch = {
      status,
      endedAt: Math.max(this.host.now() - age * 1000, this.record.startedAt ?? this.record.submittedAt),
      exitCodes,
      cancelling: false,
      ...(message === undefined ? {} : { message }),
    };
    // Who has a code would tell it again.
    void this.host.update(this, patch, exitCodes.includes(null) ? 'now' : 'soon').catch(() => undefined);
    this.host.finished(this);
  }

  private async forgetThenRequeue(): Promise<void> {
    await Promise.allSettled(
      this.ranks.map(async ({ node, uuid }) => {
        await this.host.session(node)?.forget([uuid]);
      }),
    );
    this.host.requeue(this);
  }

  private verdict(): { status: JobStatus; message?: string } {
    if (isFinished(this.record.status)) return { status: this.record.status };
    if (this.stopping === 'user') return { status: 'CANCELLED' };
    const lost = this.ranks.some(({ how }) => how === 'lost');
    if (lost && this.message !== undefined) return { status: 'LOST', message: this.message };
    if (this.ranks.every(({ code, how }) => code === 0 && how !== 'timeout')) return { status: 'SUCCEEDED' };
    const first = this.firstToFail();
    const rank = this.rank(first);
    if (rank.how === 'cancelled' && this.message === undefined)
      return { status: 'CANCELLED', message: `ended from outside on ${rank.node}` };
    const who =
      this.ranks.length > 1 ? `rank ${first} (${rank.node}) failed first with exit code` : 'exit code';
    const text = this.message ?? this.endWords(rank, who);
    return { status: this.record.spec.phase === 'setup' ? 'FAILED_SETUP' : 'FAILED', message: text };
  }

  /** What ended a rank from outside may have been that another failed, of which an engine that is gone had heard first. */
  private firstToFail(): number {
    const first = this.firstFailure ?? 0;
    if (this.rank(first).how !== 'cancelled') return first;
    const own = this.ranks.findIndex(
      ({ how, code }) => how !== 'cancelled' && how !== 'refused' && code !== 0,
    );
    return own < 0 ? first : own;
  }

  private endWords({ how, node, code }: Rank, who: string): string {
    const { timeoutS = 0 } = this.record.spec;
    const last = this.tries > 1 ? ` in try ${this.tries}` : '';
    if (how === 'timeout') return `ended after its time limit of ${timeLimitText(timeoutS)}${last}`;
    if (how === 'rc')
      return `~/.bashrc on ${node} ended the shell before the task began: what leaves it there (exit, exec zsh) is for terminals only: [ -t 0 ] && …`;
    // Its own processes are the likely ones, but the kernel does not say whose they were.
    const by =
      how === 'oom'
        ? ` (SIGKILL, while the kernel of ${node} ended processes for want of memory)`
        : signalName(code);
    return `${who} ${code ?? 'unknown'}${by}${last}`;
  }

  private rank(index: number): Rank {
    const rank = this.ranks[index];
    if (!rank) throw new Error(`job ${this.record.id} has no rank ${index}`);
    return rank;
  }
}

/** What a shell's exit code above 128 says. */
function signalName(code: number | null): string {
  const names: Readonly<Record<number, string>> = {
    134: 'SIGABRT',
    137: 'SIGKILL: killed from outside, often for want of memory',
    139: 'SIGSEGV',
    143: 'SIGTERM',
  };
  const name = code === null ? undefined : names[code];
  return name === undefined ? '' : ` (${name})`;
}
