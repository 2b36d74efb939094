import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { ClusterDefinition, LaunchStep, NodeDefinition, NodesChange } from '../cluster';
import {
  archivedLogFileOf,
  Emitter,
  logFileOf,
  QueueError,
  type ClusterView,
  type JobsOf,
  type FetchRequest,
  type FetchWatcher,
  type JobView,
  type Mount,
  type MountOptions,
  type NodeAtBoot,
  type QueueChange,
  type Received,
  type Reorder,
  type StaleMount,
  type SubmitOptions,
} from '../engine';
import type { JobRecord } from '../queue';
import type { RepairReport } from '../store';
import type { Task, Variant } from '../task';
import { LostError } from './backend';
import type { Client } from './client';
import { enter } from './enter';
import { FollowedLog } from './followedLog';
import type { Host } from './host';
import { WINDOW } from './jobWindow';
import type { CallName, Params, Result } from './protocol';
import type { Queue, QueueLog, QueueOptions, QueueRole } from './queue';

type Place = Host | Client;

const RETRY_MS = 1000;
// How often a download is looked at while it runs.
const FETCH_LOOK_MS = 300;

/** The queue as one object for as long as its process lives, whoever has the engine meanwhile. */
export class SharedQueue implements Queue {
  private readonly change = new Emitter<QueueChange>();
  private readonly trouble = new Emitter<Error>();
  readonly onDidChange = this.change.on;
  readonly onTrouble = this.trouble.on;
  private readonly logs = new Set<FollowedLog>();
  private readonly connected = new Set<string>();
  private next: Promise<Place>;
  private away = false;
  private closed = false;
  private retry: NodeJS.Timeout | undefined;
  private complaint: string | undefined;

  private constructor(
    private readonly options: QueueOptions,
    private place: Place,
  ) {
    this.next = Promise.resolve(place);
    this.watch(place);
  }

  static async open(options: QueueOptions): Promise<SharedQueue> {
    return new SharedQueue(options, await enter(options));
  }

  get role(): QueueRole {
    return this.away ? 'away' : this.place.role;
  }

  get repair(): RepairReport | undefined {
    return this.place.role === 'host' ? this.place.repair : undefined;
  }

  get busy(): boolean {
    return this.place.busy;
  }

  views(): ClusterView[] {
    return this.place.views();
  }

  view(name: string): ClusterView | undefined {
    return this.place.view(name);
  }

  definition(name: string): ClusterDefinition {
    return this.place.definition(name);
  }

  jobs(cluster: string, limit = WINDOW): JobView[] {
    return this.place.jobs(cluster, limit);
  }

  job(cluster: string, id: number): JobView {
    return this.place.job(cluster, id);
  }

  list(cluster: string, limit: number): Promise<JobView[]> {
    return this.call('list', { cluster, limit });
  }

  find(cluster: string, id: number): Promise<JobView> {
    return this.call('find', { cluster, id });
  }

  archived(cluster: string, limit: number): Promise<JobView[]> {
    return this.call('archived', { cluster, limit });
  }

  async addCluster(definition: ClusterDefinition): Promise<void> {
    await this.grant('addCluster', { definition }, 'cluster-exists');
  }

  async defineLocal(name: string, virtual: NodeDefinition['virtual']): Promise<void> {
    await this.call('defineLocal', { name, virtual: virtual ?? null });
  }

  async changeNodes(cluster: string, change: NodesChange): Promise<void> {
    await this.call('changeNodes', { cluster, change });
  }

  async removeCluster(name: string): Promise<void> {
    await this.grant('removeCluster', { name }, 'no-cluster');
    this.connected.delete(name);
  }

  submit(task: Task, options: SubmitOptions): Promise<JobRecord> {
    return this.call('submit', { task, options: { ...options, uuid: options.uuid ?? randomUUID() } });
  }

  submitGroup(task: Task, variants: readonly Variant[], options: SubmitOptions): Promise<JobRecord> {
    const uuid = options.uuid ?? randomUUID();
    return this.call('submitGroup', { task, variants, options: { ...options, uuid } });
  }

  runAgain(cluster: string, id: number, user: string): Promise<JobRecord> {
    return this.call('runAgain', { cluster, id, user, uuid: randomUUID() });
  }

  cancel(cluster: string, ids: JobsOf | 'all'): Promise<JobRecord[]> {
    return this.call('cancel', { cluster, ids });
  }

  connect(cluster: string): void {
    this.connected.add(cluster);
    this.place.call('connect', { cluster }).catch(() => undefined);
  }

  async refresh(cluster: string): Promise<void> {
    await this.call('refresh', { cluster });
  }

  async mount(cluster: string, mount: Mount, options: MountOptions = {}): Promise<void> {
    await this.ask((place, again) => place.call('mount', { cluster, mount, options: { ...options, again } }));
  }

  staleMounts(cluster: string, mounts: readonly Mount[]): Promise<StaleMount[]> {
    return this.call('staleMounts', { cluster, mounts });
  }

  resumeAtBoot(cluster: string, on: boolean): Promise<NodeAtBoot[]> {
    return this.call('resumeAtBoot', { cluster, on });
  }

  async noteLaunch(cluster: string, step: LaunchStep | undefined): Promise<void> {
    await this.call('noteLaunch', { cluster, step: step ?? null });
  }

  async reorder(cluster: string, id: number | { readonly group: number }, change: Reorder): Promise<void> {
    await this.call('reorder', { cluster, id, change });
  }

  async fetch(request: FetchRequest, { progress, signal }: FetchWatcher): Promise<Received> {
    const fetch = randomUUID();
    const look = setInterval(() => {
      this.call('fetchState', { fetch }).then(
        (state) => state && progress(state),
        () => undefined,
      );
    }, FETCH_LOOK_MS);
    const stop = (): void => void this.call('stopFetch', { fetch }).catch(() => undefined);
    signal.addEventListener('abort', stop, { once: true });
    try {
      signal.throwIfAborted();
      return await this.call('fetch', { ...request, fetch });
    } finally {
      clearInterval(look);
      signal.removeEventListener('abort', stop);
    }
  }

  log(cluster: string, id: number): { mirror: QueueLog; release: () => void } {
    const { record } = this.job(cluster, id);
    if (this.place.role === 'host') return this.place.engine.log(cluster, id);
    const mirror = new FollowedLog(logFileOf(this.options.home, record), cluster, id);
    this.logs.add(mirror);
    mirror.attach(this.place);
    return {
      mirror,
      release: () => {
        mirror.release();
        this.logs.delete(mirror);
      },
    };
  }

  logFile(record: JobRecord): string {
    const file = logFileOf(this.options.home, record);
    const archived = archivedLogFileOf(this.options.home, record);
    return !existsSync(file) && existsSync(archived) ? archived : file;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.retry);
    for (const log of this.logs) log.release();
    this.logs.clear();
    const place = await this.next.catch(() => undefined);
    await place?.close();
  }

  private call<M extends CallName>(method: M, params: Params<M>): Promise<Result<M>> {
    return this.ask((place) => place.call(method, params));
  }

  /** As `call`; `done` is what the engine says to a request that it had already granted. */
  private async grant<M extends CallName>(method: M, params: Params<M>, done: QueueError['code']) {
    await this.ask(async (place, again) => {
      try {
        await place.call(method, params);
      } catch (error) {
        if (!(again && error instanceof QueueError && error.code === done)) throw error;
      }
    });
  }

  /** Asks whoever has the engine, and asks again when that process went before it answered. */
  private async ask<T>(request: (place: Place, again: boolean) => Promise<T>): Promise<T> {
    for (let again = false; ; again = true) {
      const place = await this.next;
      try {
        return await request(place, again);
      } catch (error) {
        if (!(error instanceof LostError) || this.closed) throw error;
      }
    }
  }

  private watch(place: Place): void {
    place.onDidChange((change) => this.change.fire(change));
    place.onTrouble((error) => this.trouble.fire(error));
    if (place.role === 'client') void place.lost.then(() => this.move());
  }

  private move(): void {
    if (this.closed) return;
    this.away = true;
    this.next = this.enterAgain();
    this.next.catch(() => undefined);
  }

  private async enterAgain(): Promise<Place> {
    let place: Place;
    try {
      place = await enter(this.options);
    } catch (error) {
      this.complain(error);
      if (!this.isClosed()) this.retry = setTimeout(() => this.move(), RETRY_MS);
      throw error;
    }
    if (!this.isClosed()) this.arrive(place);
    return place;
  }

  /** Goes on with what this process had open. */
  private arrive(place: Place): void {
    const before = this.place;
    this.place = place;
    this.away = false;
    this.complaint = undefined;
    this.watch(place);
    for (const log of this.logs) log.attach(place);
    for (const cluster of this.connected) this.connect(cluster);
    const names = new Set([...before.views(), ...place.views()].map(({ name }) => name));
    this.change.fire({ clusters: names, jobs: changedJobs(before, place) });
  }

  /** Once for each cause, however often it is tried. */
  private complain(error: unknown): void {
    const cause = error instanceof Error ? error : new Error(String(error));
    if (cause.message === this.complaint) return;
    this.complaint = cause.message;
    this.trouble.fire(cause);
  }

  private isClosed(): boolean {
    return this.closed;
  }
}

/** Jobs that became different while nobody told. */
function changedJobs(before: Place, after: Place): JobRecord[] {
  return after.views().flatMap(({ name }) => {
    if (!before.view(name)) return after.jobs(name, WINDOW).map(({ record }) => record);
    const known = new Map(before.jobs(name, Infinity).map(({ record }) => [record.id, record]));
    const newest = after.jobs(name, Math.max(WINDOW, known.size)).map(({ record }) => record);
    return newest.filter((record) => JSON.stringify(record) !== JSON.stringify(known.get(record.id)));
  });
}
