import type { Engine, JobView, QueueChange } from '../engine';
import { isFinished, type JobRecord } from '../queue';
import { JobWindow, WINDOW } from './jobWindow';
import type { WireChange, WireJobs, WireState } from './protocol';

// The first change of a burst goes out at once, and then one message for all that came meanwhile.
const SOONEST_MS = 30;
// Never more than a tenth of the time, however large the clusters are.
const REST_FACTOR = 9;

type ClusterChange = WireChange['clusters'][number];

interface Published {
  view: string;
  definition: string;
  readonly jobs: JobWindow;
}

/** Tells clients what became different in an engine, one message for all of them. */
export class Publisher {
  private readonly published = new Map<string, Published>();
  private readonly dirty = new Set<string>();
  private readonly fresh = new Map<string, JobRecord>();
  private archived: JobRecord[] = [];
  private timer: NodeJS.Timeout | undefined;
  private settling: Promise<void> | undefined;
  private readonly unsubscribe: () => void;

  constructor(
    private readonly engine: Engine,
    private readonly send: (change: WireChange) => void,
    /** Whether anybody listens. */
    private readonly wanted: () => boolean,
  ) {
    this.unsubscribe = engine.onDidChange((change) => this.changed(change));
  }

  /** All that a new client must know; from now on it must get every change. */
  snapshot(): WireState {
    // While nobody listened nothing was compared: begin afresh.
    if (this.wanted()) this.flush();
    else this.published.clear();
    return {
      clusters: this.engine.views().map(({ name, ...view }) => {
        const { jobs } = this.published.get(name) ?? this.begin(name);
        // Once more, with the groups of the jobs that were read.
        const whole = this.engine.view(name) ?? { name, ...view };
        return { view: whole, definition: this.engine.definition(name), jobs: jobs.wire() };
      }),
    };
  }

  /** The newest jobs of a cluster, which are kept up to date from now on. @throws QueueError `no-cluster` */
  widen(cluster: string, limit: number): WireJobs {
    const jobs = this.read(cluster, limit);
    (this.published.get(cluster) ?? this.begin(cluster)).jobs.extend(jobs, limit);
    return jobs;
  }

  /** Resolves when everything that the engine has changed by now is sent; requests that come together share one message. */
  settle(): Promise<void> {
    // The engine tells its changes at the end of the turn; whoever shares this has made his before that.
    this.settling ??= new Promise((resolve) => {
      setImmediate(() => {
        this.settling = undefined;
        setImmediate(() => {
          // Reasons of other jobs, which cost by their number, come with the next full message.
          this.sendChanges(false);
          resolve();
        });
      });
    });
    return this.settling;
  }

  /** Sends what is not sent yet. */
  flush(): void {
    this.sendChanges(true);
    this.dirty.clear();
  }

  private sendChanges(withReasons: boolean): void {
    const clusters: ClusterChange[] = [];
    const removed: string[] = [];
    for (const name of this.dirty) {
      const change = this.changeOf(name, withReasons);
      if (change === 'removed') removed.push(name);
      else if (change) clusters.push(change);
    }
    this.fresh.clear();
    this.archived = [];
    if (clusters.length > 0 || removed.length > 0) this.send({ clusters, removed });
  }

  close(): void {
    clearTimeout(this.timer);
    this.unsubscribe();
  }

  private changed({ clusters, jobs, archived = [] }: QueueChange): void {
    if (!this.wanted()) return;
    for (const name of clusters) this.dirty.add(name);
    for (const record of jobs) this.fresh.set(record.uuid, record);
    this.archived.push(...archived);
    if (!this.timer) this.flushAndRest();
  }

  private flushAndRest(): void {
    const began = performance.now();
    this.flush();
    const rest = Math.max(SOONEST_MS, (performance.now() - began) * REST_FACTOR);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (this.dirty.size > 0) this.flushAndRest();
    }, rest);
  }

  private changeOf(name: string, withReasons: boolean): ClusterChange | 'removed' | undefined {
    const view = this.engine.view(name);
    if (!view) return this.published.delete(name) ? 'removed' : undefined;
    const definition = this.engine.definition(name);
    const published = this.published.get(name);
    if (!published) return { name, view, definition, ...this.begin(name).jobs.wire() };
    const jobs = this.changedJobs(name, published.jobs, withReasons);
    const archived = this.archived.flatMap(({ cluster, id }) => (cluster === name ? [id] : []));
    for (const id of archived) published.jobs.remove(id);
    const [viewText, definitionText] = [JSON.stringify(view), JSON.stringify(definition)];
    const change = {
      name,
      ...(viewText === published.view ? {} : { view }),
      ...(definitionText === published.definition ? {} : { definition }),
      jobs,
      ...(archived.length > 0 ? { archived } : {}),
    };
    published.view = viewText;
    published.definition = definitionText;
    const differs = 'view' in change || 'definition' in change || jobs.length > 0 || archived.length > 0;
    return differs ? change : undefined;
  }

  /** Jobs whose record changed, and those of which another reason is to be told now. */
  private changedJobs(cluster: string, window: JobWindow, withReasons: boolean): JobView[] {
    const changed: JobView[] = [];
    for (const { record, reason } of withReasons ? window.all() : []) {
      if (isFinished(record.status) || this.fresh.has(record.uuid)) continue;
      const now = this.viewOf(record);
      if (JSON.stringify(now.reason) !== JSON.stringify(reason)) changed.push(now);
    }
    for (const record of this.fresh.values())
      if (record.cluster === cluster) changed.push(this.viewOf(record));
    for (const view of changed) window.set(view);
    return changed;
  }

  private begin(name: string): Published {
    const jobs = new JobWindow(this.read(name, WINDOW));
    const published = {
      view: JSON.stringify(this.engine.view(name)),
      definition: JSON.stringify(this.engine.definition(name)),
      jobs,
    };
    this.published.set(name, published);
    return published;
  }

  private read(cluster: string, limit: number): WireJobs {
    const jobs = this.engine.jobs(cluster, limit);
    return { floor: jobs.length < limit ? 1 : (jobs[limit - 1]?.record.id ?? 1), jobs };
  }

  private viewOf(record: JobRecord): JobView {
    const reason = this.engine.reason(record);
    return reason === undefined ? { record } : { record, reason };
  }
}
