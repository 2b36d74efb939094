import * as vscode from 'vscode';
import type { Engine } from '../engine';
import type { WindowQueue } from '../window';
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

/** The Cluster Queue view: clusters, their nodes, and their jobs, newest first. It renders what the engine has. */
export class QueueTree implements vscode.TreeDataProvider<Element>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<Element | undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly elements = new Map<string, ClusterElement>();
  private readonly limits = new Map<string, number>();
  private readonly dirty = new Set<string>();
  private timer: NodeJS.Timeout | undefined;
  private readonly view: vscode.TreeView<Element>;
  private readonly subscriptions: vscode.Disposable[];

  constructor(private readonly queue: WindowQueue) {
    this.view = vscode.window.createTreeView('clusterQueue.queue', {
      treeDataProvider: this,
      showCollapseAll: true,
      canSelectMany: true,
    });
    const ageing = setInterval(() => {
      if (this.view.visible) this.changed.fire(undefined);
    }, AGE_MS);
    this.subscriptions = [
      this.view,
      queue.onDidChangeState(() => this.changed.fire(undefined)),
      queue.onDidChange(({ clusters }) => this.show(clusters)),
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
      const engine = this.queue.engine ?? (await this.queue.open().catch(() => undefined));
      if (!engine) return [];
      this.connectAll();
      return engine.views().map(({ name }) => this.cluster(name));
    }
    const { engine } = this.queue;
    if (!engine) return [];
    if (element.kind === 'cluster') return this.ofCluster(engine, element.cluster);
    if (element.kind !== 'node') return [];
    const devices =
      this.find(engine, element.cluster)?.nodes.find(({ name }) => name === element.node)?.usage?.devices ??
      [];
    return devices.map(({ index }) => ({
      kind: 'device',
      cluster: element.cluster,
      node: element.node,
      index,
    }));
  }

  getTreeItem(element: Element): vscode.TreeItem {
    const { engine } = this.queue;
    const view = engine && this.find(engine, element.cluster);
    if (!engine || !view) return new vscode.TreeItem('');
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
        return jobItem(engine.job(element.cluster, element.id), Date.now());
      case 'more':
        return moreItem(element);
    }
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const subscription of this.subscriptions) subscription.dispose();
    this.changed.dispose();
  }

  private ofCluster(engine: Engine, cluster: string): Element[] {
    const view = this.find(engine, cluster);
    if (!view) return [];
    const limit = this.limits.get(cluster) ?? PAGE;
    const jobs = engine.jobs(cluster, limit + 1);
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

  private find(engine: Engine, cluster: string): ReturnType<Engine['views']>[number] | undefined {
    return engine.view(cluster);
  }

  private connectAll(): void {
    const { engine } = this.queue;
    for (const { name } of engine?.views() ?? []) engine?.connect(name);
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
    const { engine } = this.queue;
    const known = new Set(engine?.views().map(({ name }) => name));
    const running = engine?.views().reduce((sum, view) => sum + view.running, 0) ?? 0;
    this.view.badge =
      running === 0 ? undefined : { value: running, tooltip: vscode.l10n.t('{0} jobs on nodes', running) };
    // A cluster that came or went changes the root.
    if (names.some((name) => !this.elements.has(name) || !known.has(name))) this.changed.fire(undefined);
    else for (const name of names) this.changed.fire(this.elements.get(name));
  }
}
