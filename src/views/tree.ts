import * as vscode from 'vscode';
import type { Queue } from '../control';
import type { WindowQueue } from '../window';
import { QueueDrop } from './drop';
import {
  clusterItem,
  deviceItem,
  jobItem,
  moreItem,
  nodeItem,
  type ClusterElement,
  type Element,
  type JobElement,
} from './elements';

const PAGE = 200;
// A burst of events is shown at most this often; the first of them at once.
const SHOW_EVERY_MS = 100;
// Ages in the tree ("2 mins ago") while it can be seen.
const AGE_MS = 20_000;

/** The Cluster Queue view: clusters, their nodes, and their jobs, newest first. It renders what the queue has. */
export class QueueTree implements vscode.TreeDataProvider<Element>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<Element | undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly elements = new Map<string, ClusterElement>();
  private readonly limits = new Map<string, number>();
  private readonly dirty = new Set<string>();
  private timer: NodeJS.Timeout | undefined;
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
        return usage ? deviceItem(element, usage) : new vscode.TreeItem(`GPU ${element.index}`);
      }
      case 'job':
        return jobItem(queue.job(element.cluster, element.id), Date.now());
      case 'more':
        return moreItem(element);
    }
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const subscription of this.subscriptions) subscription.dispose();
    this.changed.dispose();
  }

  private ofCluster(queue: Queue, cluster: string): Element[] {
    const view = this.find(queue, cluster);
    if (!view) return [];
    const limit = this.limits.get(cluster) ?? PAGE;
    const jobs = queue.jobs(cluster, limit + 1);
    return [
      ...view.nodes.map(({ name }): Element => ({ kind: 'node', cluster, node: name })),
      ...jobs.slice(0, limit).map(({ record }): JobElement => ({ kind: 'job', cluster, id: record.id })),
      ...(jobs.length > limit ? [{ kind: 'more', cluster } as const] : []),
    ];
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
    if (this.timer) return;
    this.flush();
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.flush();
    }, SHOW_EVERY_MS);
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
