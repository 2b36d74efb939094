import * as vscode from 'vscode';
import type { Queue } from '../control';
import type { ClusterView, JobView } from '../engine';
import { deviceLabel, jobsWords } from '../queue';
import type { WindowQueue } from '../window';
import { Ages } from './ages';
import { DrawnRows, type Row } from './drawn';
import { QueueDrop } from './drop';
import {
  archiveItem,
  clusterItem,
  deviceItem,
  groupItem,
  jobAge,
  jobItem,
  jobState,
  jobTooltip,
  jobWords,
  keyOf,
  looksOf,
  moreItem,
  nodeItem,
  type Element,
} from './elements';
import { Paced } from './paced';
import { ShownJobs } from './shown';

// A burst of events is shown at most this often; the first of them at once. VS Code asks for rows when it was not told of
// changes for 200 ms (its ExtHostTreeView): if told more often it would show nothing for as long as jobs come and go.
const SHOW_EVERY_MS = 250;
// What is not to be seen at once waits so long after the last time, see DrawnRows.
const REST_EVERY_MS = 2_000;

/** The Cluster Queue view: clusters, their nodes, and their jobs, newest first. It renders what the queue has. */
export class QueueTree implements vscode.TreeDataProvider<Element>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<Element[] | undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly drawn = new DrawnRows<Element>();
  private readonly shown = new ShownJobs();
  private readonly dirty = new Set<string>();
  private readonly shows = new Paced(() => this.flush(), SHOW_EVERY_MS);
  private readonly rest = new Set<Element>();
  private readonly showsRest = new Paced(() => this.flushRest(), REST_EVERY_MS);
  private readonly ages = new Ages(
    (keys) => {
      const there = this.drawn.elements(keys);
      if (there.length > 0) this.changed.fire(there);
    },
    () => this.view.visible,
  );
  private readonly view: vscode.TreeView<Element>;
  private readonly subscriptions: vscode.Disposable[];

  constructor(private readonly window: WindowQueue) {
    this.view = vscode.window.createTreeView('clusterQueue.queue', {
      treeDataProvider: this,
      showCollapseAll: true,
      canSelectMany: true,
      dragAndDropController: new QueueDrop(window),
    });
    this.subscriptions = [
      this.view,
      window.onDidChangeState(() => this.changed.fire(undefined)),
      window.onDidChange(({ clusters }) => this.show(clusters)),
      this.view.onDidChangeVisibility(({ visible }) => {
        if (!visible) return;
        this.connectAll();
        this.ages.look();
      }),
    ];
  }

  /** What is selected, for commands that were called by a key. */
  get selection(): readonly Element[] {
    return this.view.selection;
  }

  /** Shows more of a cluster's ended jobs. */
  showOlder(cluster: string): void {
    this.shown.showOlder(cluster);
    this.changed.fire(
      this.drawn.parents().filter((element) => element.kind === 'cluster' && element.cluster === cluster),
    );
  }

  async getChildren(element?: Element): Promise<Element[]> {
    if (!element) {
      // The view is open: now the queue is needed. Why it failed is said by the view's welcome.
      const queue = this.window.queue ?? (await this.window.open().catch(() => undefined));
      if (!queue) return [];
      this.connectAll();
      return this.drawn.draw('', clusterRows(queue.views()));
    }
    const { queue } = this.window;
    return queue ? this.drawn.draw(keyOf(element), this.below(queue, element)) : [];
  }

  getTreeItem(element: Element): vscode.TreeItem {
    const { queue } = this.window;
    const view = queue && this.shown.view(queue, element.cluster);
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
      case 'job': {
        const [job, now] = [this.shown.job(queue, element.cluster, element.id), Date.now()];
        const old = jobAge(job.record, now);
        this.ages.drawn(keyOf(element), old && now + old.forMs);
        return jobItem(job, now);
      }
      case 'group':
        return groupItem(element, view, this.shown.members(queue, element.cluster, element.id));
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
    this.showsRest.dispose();
    this.ages.dispose();
    for (const subscription of this.subscriptions) subscription.dispose();
    this.changed.dispose();
  }

  /** The rows below one. */
  private below(queue: Queue, parent: Element): Row<Element>[] {
    switch (parent.kind) {
      case 'cluster':
        return this.ofCluster(queue, parent.cluster);
      case 'group':
        return this.shown.members(queue, parent.cluster, parent.id).map(jobRow);
      case 'node': {
        const { cluster, node } = parent;
        const view = this.shown.view(queue, cluster)?.nodes.find(({ name }) => name === node);
        return (view?.usage?.devices ?? []).map((usage) => {
          const element = { kind: 'device', cluster, node, index: usage.index } as const;
          return rowOf(element, '', looksOf(deviceItem(element, usage)));
        });
      }
      default:
        return [];
    }
  }

  private ofCluster(queue: Queue, cluster: string): Row<Element>[] {
    const shown = this.shown.look(queue, cluster);
    if (!shown) return [];
    const { view, jobs, groups, more } = shown;
    const rows = view.nodes.map((node) =>
      rowOf({ kind: 'node', cluster, node: node.name }, looksOf(nodeItem(cluster, node))),
    );
    for (const job of jobs) {
      const { group } = job.record;
      if (!group) {
        rows.push(jobRow(job));
        continue;
      }
      // One row for all jobs of a group, where its newest is.
      const members = groups.get(group.id) ?? [];
      if (members[0] !== job) continue;
      const element = { kind: 'group', cluster, id: group.id } as const;
      rows.push(rowOf(element, looksOf(groupItem(element, view, members))));
    }
    if (more) {
      const element = { kind: 'more', cluster } as const;
      rows.push(rowOf(element, looksOf(moreItem(element))));
    } else if (view.archived !== undefined) {
      const element = { kind: 'archive', cluster } as const;
      rows.push(rowOf(element, looksOf(archiveItem(element, view.archived))));
    }
    return rows;
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
    const dirty = new Set(this.dirty);
    this.dirty.clear();
    const { queue } = this.window;
    const views = queue?.views() ?? [];
    const running = views.reduce((sum, view) => sum + view.running, 0);
    this.view.badge =
      running === 0
        ? undefined
        : { value: running, tooltip: vscode.l10n.t('{0} on nodes', jobsWords(running)) };
    if (!queue) return;
    const root = this.drawn.changes('', clusterRows(views));
    if (!root.same) {
      // A cluster came or went.
      this.changed.fire(undefined);
      return;
    }
    const now: Element[] = [];
    const soon = [...root.soon];
    for (const parent of this.drawn.parents()) {
      if (!dirty.has(parent.cluster)) continue;
      const changes = this.drawn.changes(keyOf(parent), this.below(queue, parent));
      now.push(...changes.now);
      soon.push(...changes.soon, ...(changes.same ? [] : [parent]));
    }
    if (now.length > 0) this.changed.fire(now);
    for (const element of soon) this.rest.add(element);
    if (this.rest.size > 0) this.showsRest.call();
  }

  private flushRest(): void {
    this.changed.fire([...this.rest]);
    this.rest.clear();
  }
}

function clusterRows(views: readonly ClusterView[]): Row<Element>[] {
  return views.map((view) => rowOf({ kind: 'cluster', cluster: view.name }, looksOf(clusterItem(view))));
}

function jobRow(job: JobView): Row<Element> {
  const { cluster, id } = job.record;
  return rowOf({ kind: 'job', cluster, id }, jobWords(job), jobState(job));
}

function rowOf(element: Element, looks: string, state = ''): Row<Element> {
  return { key: keyOf(element), element, looks, state };
}
