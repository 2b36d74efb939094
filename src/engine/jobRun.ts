import {
  SessionClosedError,
  type AgentSession,
  type EndKind,
  type NodeEvent,
  type NodeJobState,
} from '../node';
import { isFinished, type JobRecord, type JobStatus, type Placement } from '../queue';

/** What may change in a job after submit. */
export type JobPatch = Partial<
  Pick<
    JobRecord,
    | 'status'
    | 'startedAt'
    | 'endedAt'
    | 'placement'
    | 'cancelling'
    | 'exitCodes'
    | 'message'
    | 'priority'
    | 'order'
    | 'held'
  >
>;

/** What a run asks of its cluster. */
export interface RunHost {
  /** The open session of a node, when there is one. */
  session(node: string): AgentSession | undefined;
  /** Bash text for one rank, see `rankEnvironment`. */
  environment(run: JobRun, rank: number): string;
  /** Files the job needs are on the node when this resolves. */
  prepare(run: JobRun, node: string, session: AgentSession): Promise<void>;
  leases(run: JobRun, rank: number): string[];
  readonly graceS: number;
  now(): number;
  /** Applies and stores a change; resolves when it is durable. */
  update(run: JobRun, patch: JobPatch): Promise<void>;
  /** The devices of this rank are free. */
  released(run: JobRun, rank: number): void;
  /** The launch was refused and nothing of it is left: back into the queue. */
  requeue(run: JobRun): void;
  /** A device turned out to be another queue's. */
  foreign(node: string, lease: string): void;
  /** The node cannot launch anything (its disk). */
  trouble(node: string, message: string): void;
  finished(run: JobRun): void;
}

/** `unsent`: the node may or may not have heard of it; it is sent (again) as soon as the node can be talked to. */
type RankState = 'unsent' | 'sent' | 'ready' | 'running' | 'ended';

interface Rank {
  readonly node: string;
  readonly uuid: string;
  state: RankState;
  code: number | null;
  how: EndKind | 'refused' | 'lost' | 'killed' | undefined;
  cancelSent: boolean;
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
  private done = false;

  constructor(
    public record: JobRecord,
    readonly placement: Placement,
    private readonly host: RunHost,
  ) {
    this.ranks = placement.ranks.map(({ node }, rank) => ({
      node,
      uuid: rankUuid(record.uuid, rank),
      state: 'unsent',
      code: null,
      how: undefined,
      cancelSent: false,
    }));
    if (record.cancelling === true) this.stopping = 'user';
  }

  /** Sends the launch to every node that can be talked to. The placement must be durable before. */
  launch(): void {
    this.ranks.forEach((_rank, index) => void this.send(index));
  }

  /** Ranks of this run on a node, as indices. */
  on(node: string): number[] {
    return this.ranks.flatMap((rank, index) => (rank.node === node && rank.state !== 'ended' ? [index] : []));
  }

  /** The user wants it ended. */
  cancel(): void {
    if (this.done) return;
    this.stopping = 'user';
    this.stopRest();
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
        this.started(index, event.age);
        break;
      case 'ready':
        rank.state = 'ready';
        this.maybeGo();
        break;
      case 'busy':
        this.host.foreign(rank.node, event.device);
        this.refused(index);
        break;
      case 'ended':
        this.endRank(index, event.code, event.how, event.age);
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
        // A gang's rank said `ready` when nobody listened; without a gang it is about to begin.
        rank.state = this.ranks.length > 1 ? 'ready' : 'sent';
        this.maybeGo();
        break;
      case 'running':
        this.started(index, state.age);
        break;
      case 'ended':
        if (state.ran !== undefined) this.started(index, state.age + state.ran);
        this.endRank(index, state.code, state.how, state.age);
        return;
      case 'dead':
        if (state.cause === 'reboot') {
          this.lose(index, `${rank.node} was restarted while the job ran`);
        } else {
          // Ends what the supervisor left behind.
          this.host
            .session(rank.node)
            ?.cancel(rank.uuid, this.host.graceS)
            .catch(() => undefined);
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
    try {
      await this.host.prepare(this, rank.node, session);
      const answer = await session.start({
        uuid: rank.uuid,
        leases: this.host.leases(this, index),
        graceS: this.host.graceS,
        hold: this.ranks.length > 1,
        ...(this.record.spec.snapshot === undefined ? {} : { snapshot: this.record.spec.snapshot }),
        env: this.host.environment(this, index),
        run: this.record.spec.run ?? 'true',
      });
      if (answer.state !== 'started') this.reconcile(index, answer);
      else if (this.isStopping()) this.sendCancel(index);
    } catch (error) {
      if (error instanceof SessionClosedError) {
        // Whether it arrived is asked on the next connection.
        return;
      }
      if (this.host.session(rank.node) !== session) {
        // The connection broke while files were on their way: nothing was started.
        rank.state = 'unsent';
        void this.send(index);
        return;
      }
      const message = error instanceof Error ? error.message : String(error);
      this.host.trouble(rank.node, `${rank.node} cannot take jobs: ${message}`);
      this.refused(index);
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
    // What a node said before its connection broke may hold no more: it is asked first.
    const holds = ({ state, node }: Rank): boolean =>
      state === 'ready' && this.host.session(node) !== undefined;
    if (this.stopping || !this.ranks.every((rank) => rank.state === 'running' || holds(rank))) return;
    for (const { node, uuid, state } of this.ranks) {
      if (state === 'ready')
        this.host
          .session(node)
          ?.go(uuid)
          .catch(() => undefined);
    }
  }

  private started(index: number, age: number): void {
    this.rank(index).state = 'running';
    const startedAt = this.host.now() - age * 1000;
    const { status, startedAt: known } = this.record;
    if (status === 'SETTING_UP')
      void this.host.update(this, { status: 'RUNNING', startedAt: known ?? startedAt });
  }

  private endRank(index: number, code: number | null, how: Rank['how'], age: number, message?: string): void {
    const rank = this.rank(index);
    rank.state = 'ended';
    rank.code = code;
    rank.how = how;
    this.host.released(this, index);
    // Once another rank has begun, starting over would run the job twice.
    if (how === 'no-go' && this.record.status !== 'RUNNING') this.stopping ??= 'requeue';
    else if (code !== 0 && how !== 'refused') {
      if (!this.stopping) this.firstFailure = index;
      this.stopping ??= 'rank';
    }
    if (how === 'no-go' && this.firstFailure === index)
      this.message ??= `rank ${index} (${rank.node}) was cut off when the others began, and gave its devices back`;
    if (message !== undefined) this.message ??= message;
    if (this.ranks.every(({ state }) => state === 'ended')) this.settle(age);
    else if (this.stopping) this.stopRest();
  }

  private message: string | undefined;

  private stopRest(): void {
    this.ranks.forEach((_rank, index) => this.sendCancel(index));
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
    if (this.stopping === 'requeue') {
      this.done = true;
      void this.forgetThenRequeue();
      return;
    }
    this.done = true;
    const { status, message } = this.verdict();
    void this.host
      .update(this, {
        status,
        endedAt: this.host.now() - age * 1000,
        exitCodes: this.ranks.map(({ code }) => code),
        cancelling: false,
        ...(message === undefined ? {} : { message }),
      })
      .catch(() => undefined);
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
    if (this.ranks.every(({ code }) => code === 0)) return { status: 'SUCCEEDED' };
    const first = this.firstFailure ?? 0;
    const rank = this.rank(first);
    if (rank.how === 'cancelled')
      return { status: 'CANCELLED', message: `ended from outside on ${rank.node}` };
    const who =
      this.ranks.length > 1 ? `rank ${first} (${rank.node}) failed first with exit code` : 'exit code';
    const text =
      this.message ??
      (rank.how === 'rc'
        ? `~/.bashrc on ${rank.node} ended the shell before the task began`
        : `${who} ${rank.code ?? 'unknown'}${signalName(rank.code)}`);
    return { status: this.record.spec.phase === 'setup' ? 'FAILED_SETUP' : 'FAILED', message: text };
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
