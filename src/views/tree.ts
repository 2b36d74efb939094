import * as vscode from 'vscode';
import type { Queue } from '../control';
import { LARGE_GROUP } from '../engine/groups';
import { deviceLabel, isOnNodes, type JobRecord } from '../queue';
import type { WindowQueue } from '../window';
import { QueueDrop } from './drop';
import {
  archiveItem,
  clusterItem,
  deviceItem,
  groupItem,
  jobItem,
  jobTooltip,
  moreItem,
  nodeItem,
  type ClusterElement,
  type Element,
  type GroupElement,
  type JobElement,
} from './elements';
import { Paced } from './paced';

const PAGE = 200;
// A burst of events is shown at most this often; the first of them at once. VS Code asks for rows when it was not told of
// changes for 200 ms (its ExtHostTreeView): if told more often it would show nothing for as long as jobs come and go.
const SHOW_EVERY_MS = 250;
// Ages in the tree ("2 mins ago") while it can be seen.
const AGE_MS = 20_000;

/** The Cluster Queue view: clusters, their nodes, and their jobs, newest first. It renders what the queue has. */
export class QueueTree implements vscode.TreeDataProvider<Element>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<Element | undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly elements = new Map<string, ClusterElement>();
  private readonly limits = new Map<string, number>();
  private readonly dirty = new Set<string>();
  private readonly shows = new Paced(() => this.flush(), SHOW_EVERY_MS);
  private readonly view: vscode.TreeView<Element>;
  private readonly subscriptions: vscode.Disposable[];

  constructor(private readonly window: WindowQueue) {
    this.view = vscode.window.createTreeView('clusterQueue.queue', {
      treeDataProvider: this,
      showCollapseAll: true,
      canSelectMany: true,
      dragAndDropController: new QueueDrop(window),
    });
    const ageing = setInterval(() => {
      if (this.view.visible) this.changed.fire(undefined);
    }, AGE_MS);
    this.subscriptions = [
      this.view,
      window.onDidChangeState(() => this.changed.fire(undefined)),
      window.onDidChange(({ clusters }) => this.show(clusters)),
      this.view.onDidChangeVisibility(({ visible }) => {
        if (visible) this.connectAll();
      }),
      new vscode.Disposable(() => clearInterval(ageing)),
    ];
  }

  /** What is selected, for commands that were called by a key. */
  get selection(): readonly Element[] {
    return this.view.selection;
  }

  /** Shows a page more of a cluster's ended jobs. */
  showOlder(cluster: string): void {
    this.limits.set(cluster, (this.limits.get(cluster) ?? PAGE) + PAGE);
    this.changed.fire(this.elements.get(cluster));
  }

  async getChildren(element?: Element): Promise<Element[]> {
    if (!element) {
      // The view is open: now the queue is needed. Why it failed is said by the view's welcome.
      const queue = this.window.queue ?? (await this.window.open().catch(() => undefined));
      if (!queue) return [];
      this.connectAll();
      return queue.views().map(({ name }) => this.cluster(name));
    }
    const { queue } = this.window;
    if (!queue) return [];
    if (element.kind === 'cluster') return this.ofCluster(queue, element.cluster);
    if (element.kind === 'group')
      return this.members(queue, element).map(({ cluster, id }) => ({ kind: 'job', cluster, id }));
    if (element.kind !== 'node') return [];
    const devices =
      this.find(queue, element.cluster)?.nodes.find(({ name }) => name === element.node)?.usage?.devices ??
      [];
    return devices.map(({ index }) => ({
      kind: 'device',
      cluster: element.cluster,
      node: element.node,
      index,
    }));
  }

  getTreeItem(element: Element): vscode.TreeItem {
    const { queue } = this.window;
    const view = queue && this.find(queue, element.cluster);
    if (!queue || !view) return new vscode.TreeItem('');
    switch (element.kind) {
      case 'cluster':
        return clusterItem(view);
      case 'node': {
        const node = view.nodes.find(({ name }) => name === element.node);
        return node ? nodeItem(element.cluster, node) : new vscode.TreeItem(element.node);
      }
      case 'device': {
        const usage = view.nodes
          .find(({ name }) => name === element.node)
          ?.usage?.devices.find(({ index }) => index === element.index);
        return usage ? deviceItem(element, usage) : new vscode.TreeItem(`GPU ${deviceLabel(element.index)}`);
      }
      case 'job':
        return jobItem(queue.job(element.cluster, element.id), Date.now());
      case 'group':
        return groupItem(element, view, this.members(queue, element));
      case 'more':
        return moreItem(element);
      case 'archive':
        return archiveItem(element, view.archived ?? 0);
    }
  }

  /** A job's tooltip is made when the mouse is over it: there are hundreds of rows. */
  resolveTreeItem(item: vscode.TreeItem, element: Element): vscode.TreeItem {
    const { queue } = this.window;
    if (queue && element.kind === 'job')
      item.tooltip = jobTooltip(queue.job(element.cluster, element.id), Date.now());
    return item;
  }

  dispose(): void {
    this.shows.dispose();
    for (const subscription of this.subscriptions) subscription.dispose();
    this.changed.dispose();
  }

  private ofCluster(queue: Queue, cluster: string): Element[] {
    const view = this.find(queue, cluster);
    if (!view) return [];
    const { jobs, more } = this.shown(queue, cluster);
    return [
      ...view.nodes.map(({ name }): Element => ({ kind: 'node', cluster, node: name })),
      ...rows(cluster, jobs),
      ...(more
        ? [{ kind: 'more', cluster } as const]
        : view.archived === undefined
          ? []
          : [{ kind: 'archive', cluster } as const]),
    ];
  }

  /**
   * The newest jobs, as many as are to be shown, and all that are on nodes; a group of which one of the newest is a member
   * is there whole, unless it is large.
   */
  private shown(queue: Queue, cluster: string): { jobs: JobRecord[]; more: boolean } {
    let limit = this.limits.get(cluster) ?? PAGE;
    let jobs = queue.jobs(cluster, limit + 1);
    const last = jobs[limit - 1]?.record;
    const missing = last?.group && last.group.size <= LARGE_GROUP ? last.id - last.group.id : 0;
    if (missing > 0) {
      limit += missing;
      jobs = queue.jobs(cluster, limit + 1);
    }
    return {
      jobs: byPlace(
        jobs.map(({ record }) => record).filter(({ status }, index) => index < limit || isOnNodes(status)),
      ),
      more: jobs.length > limit,
    };
  }

  private members(queue: Queue, { cluster, id }: GroupElement): JobRecord[] {
    return this.shown(queue, cluster).jobs.filter(({ group }) => group?.id === id);
  }

  private cluster(name: string): ClusterElement {
    const element = this.elements.get(name) ?? { kind: 'cluster', cluster: name };
    this.elements.set(name, element);
    return element;
  }

  private find(queue: Queue, cluster: string): ReturnType<Queue['views']>[number] | undefined {
    return queue.view(cluster);
  }

  private connectAll(): void {
    const { queue } = this.window;
    for (const { name } of queue?.views() ?? []) queue?.connect(name);
  }

  private show(clusters: ReadonlySet<string>): void {
    for (const name of clusters) this.dirty.add(name);
    this.shows.call();
  }

  private flush(): void {
    const names = [...this.dirty];
    this.dirty.clear();
    const views = this.window.queue?.views() ?? [];
    const known = new Set(views.map(({ name }) => name));
    const running = views.reduce((sum, view) => sum + view.running, 0);
    this.view.badge =
      running === 0 ? undefined : { value: running, tooltip: vscode.l10n.t('{0} jobs on nodes', running) };
    // A cluster that came or went changes the root.
    if (names.some((name) => !this.elements.has(name) || !known.has(name))) this.changed.fire(undefined);
    else for (const name of names) this.changed.fire(this.elements.get(name));
  }
}

/** Jobs, newest first, with those that wait by their places in the queue: the lowest of them is the next to start. */
function byPlace(jobs: readonly JobRecord[]): JobRecord[] {
  const isWaiting = ({ status }: JobRecord): boolean => status === 'PENDING';
  const waiting = jobs.filter(isWaiting).sort((a, b) => a.priority - b.priority || b.order - a.order);
  let next = 0;
  return jobs.map((job) => (isWaiting(job) ? (waiting[next++] ?? job) : job));
}

/** A row for each job, and one for all jobs of a group, where its newest is. */
function rows(cluster: string, jobs: readonly JobRecord[]): (JobElement | GroupElement)[] {
  const groups = new Set<number>();
  return jobs.flatMap(({ id, group }): (JobElement | GroupElement)[] => {
    if (!group) return [{ kind: 'job', cluster, id }];
    if (groups.has(group.id)) return [];
    groups.add(group.id);
    return [{ kind: 'group', cluster, id: group.id }];
  });
}
