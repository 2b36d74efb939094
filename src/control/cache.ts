import type { ClusterDefinition } from '../cluster';
import { QueueError, type ClusterView, type JobView, type QueueChange } from '../engine';
import type { JobRecord } from '../queue';
import { JobWindow } from './jobWindow';
import type { CallName, Params, Result, WireChange, WireState } from './protocol';

interface Known {
  view: ClusterView;
  definition: ClusterDefinition;
  readonly jobs: JobWindow;
}

/** What a client knows of the queue. */
export class Cache {
  private readonly clusters = new Map<string, Known>();

  load(state: WireState): void {
    for (const { view, definition, jobs } of state.clusters)
      this.clusters.set(view.name, { view, definition, jobs: new JobWindow(jobs) });
  }

  /** Takes in what is different, and says it as the engine does. */
  apply(change: WireChange): QueueChange {
    const jobs: JobRecord[] = [];
    for (const name of change.removed) this.clusters.delete(name);
    const archived: JobRecord[] = [];
    for (const { name, view, definition, floor, jobs: views, archived: gone = [] } of change.clusters) {
      let known = this.clusters.get(name);
      if (!known) {
        if (!view || !definition) continue;
        known = { view, definition, jobs: new JobWindow({ floor: floor ?? 1, jobs: [] }) };
        this.clusters.set(name, known);
      }
      known.view = view ?? known.view;
      known.definition = definition ?? known.definition;
      for (const id of gone) {
        const before = known.jobs.get(id)?.record;
        if (before) archived.push(before);
        known.jobs.remove(id);
      }
      for (const job of views) {
        const before = known.jobs.get(job.record.id)?.record;
        known.jobs.set(job);
        if (JSON.stringify(before) !== JSON.stringify(job.record)) jobs.push(job.record);
      }
    }
    const clusters = new Set([...change.removed, ...change.clusters.map(({ name }) => name)]);
    return { clusters, jobs, ...(archived.length > 0 ? { archived } : {}) };
  }

  /** Takes in what an answer says of jobs that are not held. */
  learn<M extends CallName>(method: M, params: Params<M>, result: Result<M>): void {
    if (method === 'widen' && 'limit' in params && result && 'floor' in result)
      this.clusters.get(params.cluster)?.jobs.extend(result, params.limit);
    if (method === 'find' && result && 'record' in result && !('archived' in result))
      this.clusters.get(result.record.cluster)?.jobs.set(result);
  }

  views(): ClusterView[] {
    return [...this.clusters.values()].map(({ view }) => view);
  }

  view(name: string): ClusterView | undefined {
    return this.clusters.get(name)?.view;
  }

  definition(name: string): ClusterDefinition {
    return this.known(name).definition;
  }

  window(name: string): JobWindow {
    return this.known(name).jobs;
  }

  job(cluster: string, id: number): JobView {
    const view = this.window(cluster).get(id);
    if (!view) throw new QueueError('no-job', `${cluster} has no job ${id}`);
    return view;
  }

  private known(name: string): Known {
    const known = this.clusters.get(name);
    if (known) return known;
    const names = [...this.clusters.keys()].join(', ') || 'none yet';
    throw new QueueError('no-cluster', `there is no cluster ${name} (known: ${names})`);
  }
}
