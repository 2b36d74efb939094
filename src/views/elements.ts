import * as vscode from 'vscode';
import type { ClusterView, JobView, NodeView } from '../engine';
import { age, duration, isFinished, placementText, type DeviceUsage, type JobRecord } from '../queue';
import { statusIcon } from './icons';

/** What the tree shows; each element carries what its commands need. */
export type Element = ClusterElement | NodeElement | DeviceElement | JobElement | MoreElement;

export interface ClusterElement {
  readonly kind: 'cluster';
  readonly cluster: string;
}
export interface NodeElement {
  readonly kind: 'node';
  readonly cluster: string;
  readonly node: string;
}
export interface DeviceElement {
  readonly kind: 'device';
  readonly cluster: string;
  readonly node: string;
  readonly index: number;
}
export interface JobElement {
  readonly kind: 'job';
  readonly cluster: string;
  readonly id: number;
}
export interface MoreElement {
  readonly kind: 'more';
  readonly cluster: string;
}

const { TreeItem, TreeItemCollapsibleState: Collapsible, ThemeIcon, l10n } = vscode;

/** What a cluster has free and does, in a few words. */
export function clusterSummary(view: ClusterView): string {
  const parts = [gpusOf(view.nodes.flatMap(({ usage }) => usage?.devices ?? []))];
  if (view.running > 0) parts.push(l10n.t('{0} running', view.running));
  if (view.pending > 0) parts.push(l10n.t('{0} waiting', view.pending));
  return parts.filter((part) => part !== '').join(' · ');
}

export function clusterItem(view: ClusterView): vscode.TreeItem {
  const item = new TreeItem(view.name, Collapsible.Expanded);
  item.id = `cluster:${view.name}`;
  item.contextValue = view.local ? 'cluster.local' : 'cluster.ssh';
  item.iconPath = new ThemeIcon(view.local ? 'vm' : 'server-environment');
  item.description = clusterSummary(view);
  item.accessibilityInformation = { label: l10n.t('cluster {0}, {1}', view.name, item.description) };
  return item;
}

export function nodeItem(cluster: string, view: NodeView): vscode.TreeItem {
  const devices = view.usage?.devices ?? [];
  const item = new TreeItem(view.name, devices.length > 0 ? Collapsible.Collapsed : Collapsible.None);
  item.id = `node:${cluster}:${view.name}`;
  item.contextValue = 'node';
  switch (view.link.state) {
    case 'up':
      item.iconPath = new ThemeIcon('server');
      item.description =
        devices.length > 0 ? gpusOf(devices) : l10n.t('no GPU, {0} CPUs', view.usage?.cpus.total ?? 0);
      break;
    case 'connecting':
      item.iconPath = new ThemeIcon('loading~spin');
      item.description = l10n.t('connecting…');
      break;
    case 'idle':
      item.iconPath = new ThemeIcon('server', new vscode.ThemeColor('disabledForeground'));
      item.description = l10n.t('not connected');
      break;
    case 'down':
      item.iconPath = new ThemeIcon('warning', new vscode.ThemeColor('list.warningForeground'));
      item.description = view.link.message;
      break;
  }
  item.tooltip = nodeTooltip(view);
  return item;
}

export function deviceItem(element: DeviceElement, device: DeviceUsage): vscode.TreeItem {
  const item = new TreeItem(`GPU ${device.index}`);
  item.id = `device:${element.cluster}:${element.node}:${device.index}`;
  item.contextValue = 'device';
  item.iconPath = new ThemeIcon(device.free === 1 ? 'circle-large-outline' : 'circle-filled');
  const user =
    device.foreign === undefined
      ? device.jobs.join(', ')
      : l10n.t('used by {0}, outside this queue', device.foreign || '?');
  item.description = `${device.name} · ${user === '' ? l10n.t('free') : user}`;
  return item;
}

export function jobItem({ record, reason }: JobView, now: number): vscode.TreeItem {
  const item = new TreeItem(`${record.id} ${record.name}`);
  item.id = `job:${record.uuid}`;
  item.contextValue = contextOf(record);
  item.iconPath = statusIcon(record.status);
  const parts = [record.spec.resources.replace(/^1x\[(.*)\]$/, '$1')];
  if (reason) parts.push(reason.text);
  parts.push(record.cancelling === true ? l10n.t('cancelling…') : statusWords(record, now));
  item.description = parts.join(' · ');
  item.tooltip = jobTooltip({ record, ...(reason ? { reason } : {}) }, now);
  item.command = {
    command: 'clusterQueue.showLog',
    title: l10n.t('Show Log'),
    arguments: [{ kind: 'job', cluster: record.cluster, id: record.id } satisfies JobElement],
  };
  item.accessibilityInformation = {
    label: `${l10n.t('job {0}', record.id)} ${record.name}, ${record.status}, ${item.description}`,
  };
  return item;
}

export function moreItem(element: MoreElement): vscode.TreeItem {
  const item = new TreeItem(l10n.t('Show older jobs'));
  item.id = `more:${element.cluster}`;
  item.iconPath = new ThemeIcon('ellipsis');
  item.command = {
    command: 'clusterQueue.showOlder',
    title: l10n.t('Show Older Jobs'),
    arguments: [element],
  };
  return item;
}

/** What menus go by: `job.waiting`, `job.waiting.held`, `job.placed` or `job.finished`. */
function contextOf(record: JobRecord): string {
  if (isFinished(record.status)) return 'job.finished';
  if (record.status !== 'PENDING') return 'job.placed';
  return record.held === true ? 'job.waiting.held' : 'job.waiting';
}

/** What the icon does not say: since when, for how long, and how it ended. */
function statusWords(record: JobRecord, now: number): string {
  switch (record.status) {
    case 'PENDING':
      return l10n.t('queued {0}', age(now - record.submittedAt));
    case 'SETTING_UP':
      return l10n.t('starting');
    case 'RUNNING':
      return duration(now - (record.startedAt ?? now));
    default: {
      const ended = record.endedAt === undefined ? '' : age(now - record.endedAt);
      return [record.status === 'FAILED' ? record.message : undefined, ended].filter(Boolean).join(' · ');
    }
  }
}

function gpusOf(devices: readonly DeviceUsage[]): string {
  if (devices.length === 0) return '';
  const names = new Map<string, { free: number; total: number }>();
  for (const { name, free } of devices) {
    const sum = names.get(name) ?? { free: 0, total: 0 };
    names.set(name, { free: sum.free + free, total: sum.total + 1 });
  }
  return [...names]
    .map(([name, { free, total }]) => l10n.t('{0}/{1} {2} free', Math.round(free * 100) / 100, total, name))
    .join(', ');
}

function nodeTooltip(view: NodeView): vscode.MarkdownString {
  const text = new vscode.MarkdownString();
  text.appendMarkdown(`**${escape(view.name)}**`);
  if (view.destination !== undefined && view.destination !== view.name)
    text.appendText(` (${view.destination})`);
  if (view.usage) {
    const { cpus, memoryMiB } = view.usage;
    text.appendText(
      `\n\n${l10n.t('{0} of {1} CPUs and {2} of {3} GB free', Math.round(cpus.free * 10) / 10, cpus.total, Math.round(memoryMiB.free / 1024), Math.round(memoryMiB.total / 1024))}`,
    );
  }
  if (view.virtual) text.appendText(`\n\n${l10n.t('Its GPUs are declared in the settings, not found.')}`);
  if (view.link.state === 'down') text.appendText(`\n\n${view.link.message}`);
  return text;
}

function jobTooltip({ record, reason }: JobView, now: number): vscode.MarkdownString {
  const text = new vscode.MarkdownString();
  text.appendMarkdown(`**${escape(record.name)}** · ${record.status}\n\n`);
  const rows: [string, string][] = [
    [l10n.t('Job'), `${record.id} on ${record.cluster}`],
    [l10n.t('Wants'), record.spec.resources],
    [l10n.t('Submitted'), age(now - record.submittedAt)],
  ];
  if (reason) rows.push([l10n.t('Waits'), `${reason.text} (${l10n.t('place {0}', reason.position)})`]);
  if (record.startedAt !== undefined)
    rows.push([l10n.t('Ran'), duration((record.endedAt ?? now) - record.startedAt)]);
  if (record.placement) rows.push([l10n.t('On'), placementText(record.placement)]);
  if (record.exitCodes)
    rows.push([l10n.t('Exit code'), record.exitCodes.map((code) => code ?? '?').join(', ')]);
  if (record.message !== undefined) rows.push([l10n.t('Why'), record.message]);
  if (record.spec.file !== undefined) rows.push([l10n.t('File'), record.spec.file]);
  text.appendMarkdown(rows.map(([name, value]) => `${name}: ${escape(value)}`).join('  \n'));
  return text;
}

function escape(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+\-.!|<>~]/g, '\\$&').replaceAll('\n', ' ');
}
