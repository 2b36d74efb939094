import * as vscode from 'vscode';
import type { ClusterView } from '../engine';
import { amount, isFinished, type JobRecord } from '../queue';
import { fileStatusWords } from './fileStatus';
import { sshHosts } from './hosts';
import type { WindowQueue } from './queue';
import { readSettings } from './settings';

/** GPUs of one name over all clusters; free ones may be fractions. */
interface KnownGpu {
  readonly name: string;
  readonly free: number;
  readonly total: number;
  readonly mostOnNode: number;
}

/** What the editor asks for: GPUs to complete, and what became of a file's newest job. */
export class EditorFacts implements vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  private readonly newest = new Map<string, JobRecord>();
  private gpus = '';
  private readonly subscriptions: vscode.Disposable[];
  readonly onDidChangeJobs = this.changed.event;
  readonly sshHosts = sshHosts;
  readonly poolsFile = (): string => readSettings().nodePools;

  constructor(private readonly queue: WindowQueue) {
    this.subscriptions = [
      queue.onDidChangeState(() => this.readAll()),
      queue.onDidChange(({ jobs }) => {
        const mine = jobs.filter((record) => this.keep(record));
        const gpus = JSON.stringify(
          this.knownGpus().map(({ name, total, mostOnNode }) => [name, total, mostOnNode]),
        );
        if (mine.length === 0 && gpus === this.gpus) return;
        this.gpus = gpus;
        this.changed.fire();
      }),
    ];
  }

  /** Nothing before the queue is open: completion must not open it. */
  readonly knownGpus = (): KnownGpu[] => gpusOf(this.queue.queue?.views() ?? []);

  readonly jobStatusOfFile = (fsPath: string): string | undefined => {
    const record = this.newest.get(fsPath);
    return record && fileStatusWords(record);
  };

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
    this.changed.dispose();
  }

  private readAll(): void {
    const { queue } = this.queue;
    if (!queue) return;
    for (const { name } of queue.views()) for (const { record } of queue.jobs(name)) this.keep(record);
    this.changed.fire();
  }

  private keep(record: JobRecord): boolean {
    const { file } = record.spec;
    if (file === undefined) return false;
    const known = this.newest.get(file);
    if (known && known.submittedAt > record.submittedAt) return false;
    this.newest.set(file, record);
    return !known || known.status !== record.status || isFinished(record.status);
  }
}

function gpusOf(views: readonly ClusterView[]): KnownGpu[] {
  const sums = new Map<string, { free: number; total: number; mostOnNode: number }>();
  for (const node of views.flatMap(({ nodes }) => nodes)) {
    const here = new Map<string, number>();
    for (const { name, free } of node.usage?.devices ?? []) {
      const sum = sums.get(name) ?? { free: 0, total: 0, mostOnNode: 0 };
      const count = (here.get(name) ?? 0) + 1;
      here.set(name, count);
      sums.set(name, {
        free: sum.free + free,
        total: sum.total + 1,
        mostOnNode: Math.max(sum.mostOnNode, count),
      });
    }
  }
  return [...sums].map(([name, sum]) => ({ name, ...sum, free: Number(amount(sum.free)) }));
}
