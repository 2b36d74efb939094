import * as vscode from 'vscode';
import type { ClusterView, GroupView, JobView, NodeAbout, NodeView } from '../engine';
import {
  afterName,
  age,
  cpuWords,
  deviceLabel,
  deviceWords,
  duration,
  isFinished,
  placementText,
  roughAge,
  roughDuration,
  timeLimitText,
  type DeviceUsage,
  type JobRecord,
  type Rough,
} from '../queue';
import { LOCAL } from '../window';
import { statusIcon } from './icons';

/** What the tree shows; each element carries what its commands need. */
export type Element =
  ClusterElement | NodeElement | DeviceElement | JobElement | GroupElement | MoreElement | ArchiveElement;

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
/** Jobs that were submitted together; `id`: the number of the first. */
export interface GroupElement {
  readonly kind: 'group';
  readonly cluster: string;
  readonly id: number;
}
export interface MoreElement {
  readonly kind: 'more';
  readonly cluster: string;
}
export interface ArchiveElement {
  readonly kind: 'archive';
  readonly cluster: string;
}

/** Names an element for as long as it is there. */
export function keyOf(element: Element): string {
  const { kind, cluster } = element;
  switch (kind) {
    case 'node':
      return `${kind} ${cluster} ${element.node}`;
    case 'device':
      return `${kind} ${cluster} ${element.node} ${element.index}`;
    case 'job':
    case 'group':
      return `${kind} ${cluster} ${element.id}`;
    default:
      return `${kind} ${cluster}`;
  }
}

/** All that an item shows. */
export function looksOf(item: vscode.TreeItem): string {
  const { label, description, iconPath, contextValue, collapsibleState, tooltip } = item;
  const words = typeof tooltip === 'object' ? tooltip.value : tooltip;
  return JSON.stringify([label, description, iconPath, contextValue, collapsibleState, words]);
}

/** What of a job is to be seen at once. */
export function jobState({ record }: JobView): string {
  const { status, cancelling = false, held = false, tries = 1 } = record;
  return `${status} ${cancelling} ${held} ${tries}`;
}

/** What else of a job may change in its row, but for times. */
export function jobWords({ record, reason }: JobView): string {
  return `${record.name} ${record.message ?? ''} ${reason?.text ?? ''}`;
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
  item.contextValue = `${view.name === LOCAL ? 'cluster.local' : 'cluster.ssh'}${view.launch ? '.launching' : ''}`;
  item.iconPath = new ThemeIcon(view.local ? 'vm' : 'server-environment');
  item.description = clusterSummary(view);
  if (view.launch) showLaunch(item, view.launch);
  item.accessibilityInformation = { label: l10n.t('cluster {0}, {1}', view.name, item.description) };
  return item;
}

/** A launch that has not come to its end says so before all else. */
function showLaunch(item: vscode.TreeItem, { name, message }: NonNullable<ClusterView['launch']>): void {
  const connecting = name === 'connect';
  if (message === undefined) {
    const words = connecting ? l10n.t('launching: looking for hosts') : l10n.t('launching: placing files');
    item.description = words;
    item.tooltip = `${words}\n\n${l10n.t('If nothing launches it any more, Retry Launch goes on with it.')}`;
    return;
  }
  item.iconPath = new ThemeIcon('warning', new vscode.ThemeColor('list.warningForeground'));
  const words = connecting
    ? l10n.t('launch failed: hosts')
    : name === 'files'
      ? l10n.t('launch failed: files')
      : l10n.t('launch failed: setup');
  item.description = `${words} · ${message}`;
  item.tooltip = `${words}\n\n${message}\n\n${l10n.t('Retry Launch goes on with this step.')}`;
}

export function nodeItem(cluster: string, view: NodeView): vscode.TreeItem {
  const devices = view.usage?.devices ?? [];
  const item = new TreeItem(view.name, devices.length > 0 ? Collapsible.Collapsed : Collapsible.None);
  item.id = `node:${cluster}:${view.name}`;
  item.contextValue = `node.${view.draining === true ? 'draining' : 'in-use'}.${cluster === LOCAL ? 'local' : 'ssh'}`;
  switch (view.link.state) {
    case 'up':
      item.iconPath = new ThemeIcon(view.draining === true ? 'server-process' : 'server');
      item.description =
        devices.length > 0
          ? gpusOf(devices)
          : [l10n.t('no GPU, {0}', cpuWords(view.usage?.cpus.total ?? 0)), view.about?.gpuTrouble ?? '']
              .filter((part) => part !== '')
              .join(' · ');
      if (view.draining === true) item.description = l10n.t('draining · {0}', item.description);
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
      item.description = afterName(view.link.message, view.name, view.destination);
      break;
  }
  item.tooltip = nodeTooltip(view);
  return item;
}

export function deviceItem(element: DeviceElement, device: DeviceUsage): vscode.TreeItem {
  const item = new TreeItem(`GPU ${deviceLabel(device.index)}`);
  item.id = `device:${element.cluster}:${element.node}:${device.index}`;
  item.contextValue = 'device';
  item.iconPath = new ThemeIcon(device.free === 1 ? 'circle-large-outline' : 'circle-filled');
  item.description = `${device.name} · ${deviceWords(device)}`;
  return item;
}

export function jobItem({ record, reason }: JobView, now: number): vscode.TreeItem {
  const item = new TreeItem(`${record.id} ${record.name}`);
  item.id = `job:${record.uuid}`;
  item.contextValue = contextOf(record);
  item.iconPath = statusIcon(record.status);
  const parts = [wantWords(record)];
  if (reason) parts.push(reason.text);
  parts.push(record.cancelling === true ? l10n.t('cancelling…') : statusWords(record, now));
  item.description = parts.join(' · ');
  whenClicked(item, 'clusterQueue.showLog', l10n.t('Show Log'));
  item.accessibilityInformation = {
    label: `${l10n.t('job {0}', record.id)} ${record.name}, ${record.status}, ${item.description}`,
  };
  return item;
}

/** A setup wants nothing of its nodes but that they are there. */
function wantWords({ spec, demand }: JobRecord): string {
  if (spec.phase !== 'setup') return spec.resources.replace(/^1x\[(.*)\]$/, '$1');
  return demand.numNodes === 1 ? l10n.t('1 node') : l10n.t('{0} nodes', demand.numNodes);
}

/** A group with what its jobs do; `members` are those of them that are shown. */
export function groupItem(
  element: GroupElement,
  view: ClusterView,
  members: readonly JobView[],
): vscode.TreeItem {
  const { name, size } = members[0]?.record.group ?? { name: '', size: members.length };
  const { running, pending, succeeded, failed, cancelled } =
    view.groups?.find(({ id }) => id === element.id) ?? endedCounts(members);
  const archived =
    view.archived === undefined ? 0 : size - running - pending - succeeded - failed - cancelled;
  const item = new TreeItem(`${name} × ${size}`, Collapsible.Collapsed);
  item.id = `group:${element.cluster}:${element.id}`;
  item.contextValue = running + pending > 0 ? 'group.live' : 'group.finished';
  item.iconPath = statusIcon(
    running > 0
      ? 'RUNNING'
      : pending > 0
        ? 'PENDING'
        : failed > 0
          ? 'FAILED'
          : cancelled > 0
            ? 'CANCELLED'
            : 'SUCCEEDED',
  );
  item.description = [
    running > 0 ? l10n.t('{0} running', running) : '',
    pending > 0 ? l10n.t('{0} waiting', pending) : '',
    succeeded > 0 ? l10n.t('{0} done', succeeded) : '',
    failed > 0 ? l10n.t('{0} failed', failed) : '',
    cancelled > 0 ? l10n.t('{0} cancelled', cancelled) : '',
    archived > 0 ? l10n.t('{0} archived', archived) : '',
  ]
    .filter((part) => part !== '')
    .join(', ');
  item.tooltip = l10n.t('Jobs {0} to {1}, submitted together', element.id, element.id + size - 1);
  item.accessibilityInformation = { label: l10n.t('group {0}, {1}', name, item.description) };
  return item;
}

/** Of a group that has ended; `members` are all that are not archived. */
function endedCounts(members: readonly JobView[]): Omit<GroupView, 'id'> {
  const count = (of: (status: string) => boolean): number =>
    members.filter(({ record }) => of(record.status)).length;
  return {
    running: 0,
    pending: 0,
    succeeded: count((status) => status === 'SUCCEEDED'),
    failed: count((status) => FAILED.has(status)),
    cancelled: count((status) => status === 'CANCELLED'),
  };
}

const FAILED: ReadonlySet<string> = new Set(['FAILED', 'FAILED_SETUP', 'LOST']);

export function moreItem(element: MoreElement): vscode.TreeItem {
  const item = new TreeItem(l10n.t('Show older jobs'));
  item.id = `more:${element.cluster}`;
  item.iconPath = new ThemeIcon('ellipsis');
  whenClicked(item, 'clusterQueue.showOlder', l10n.t('Show Older Jobs'));
  return item;
}

export function archiveItem(element: ArchiveElement, count: number): vscode.TreeItem {
  const item = new TreeItem(
    count === 1 ? l10n.t('1 older job is archived') : l10n.t('{0} older jobs are archived', count),
  );
  item.id = `archive:${element.cluster}`;
  item.iconPath = new ThemeIcon('archive');
  whenClicked(item, 'clusterQueue.showArchived', l10n.t('Show Archived Jobs…'));
  return item;
}

/**
 * Makes a row do something with what is selected, which is then this row. Without arguments: those VS Code keeps for as long
 * as the row is drawn, and a click in the moment in which it is drawn anew would find none (its CommandsConverter).
 */
function whenClicked(item: vscode.TreeItem, command: string, title: string): void {
  item.command = { command, title };
}

/** What menus go by: `job.waiting`, `job.waiting.held`, `job.placed` or `job.finished`. */
function contextOf(record: JobRecord): string {
  if (isFinished(record.status)) return 'job.finished';
  if (record.status !== 'PENDING') return 'job.placed';
  return record.held === true ? 'job.waiting.held' : 'job.waiting';
}

/** What the icon does not say: since when, for how long, and how it ended. */
function statusWords(record: JobRecord, now: number): string {
  const old = jobAge(record, now)?.text ?? '';
  switch (record.status) {
    case 'PENDING':
      return l10n.t('queued {0}', old);
    case 'SETTING_UP':
      return l10n.t('starting');
    case 'RUNNING':
      return [tryWords(record), old, limitWords(record)].filter(Boolean).join(' · ');
    default:
      return [record.status === 'FAILED' ? record.message : undefined, old].filter(Boolean).join(' · ');
  }
}

/** What a job's row says of its age; undefined when it says nothing. */
export function jobAge(record: JobRecord, now: number): Rough | undefined {
  const { status, submittedAt, startedAt, endedAt } = record;
  if (record.cancelling === true) return undefined;
  if (status === 'PENDING') return roughAge(now - submittedAt);
  if (status === 'RUNNING') return roughDuration(now - (startedAt ?? now));
  return endedAt === undefined ? undefined : roughAge(now - endedAt);
}

/** `try 2 of 4`, from the second on. */
function tryWords({ tries = 1, spec }: JobRecord): string | undefined {
  return tries > 1 ? l10n.t('try {0} of {1}', tries, (spec.retries ?? 0) + 1) : undefined;
}

function limitWords({ spec }: JobRecord): string | undefined {
  return spec.timeoutS === undefined ? undefined : l10n.t('limit {0}', timeLimitText(spec.timeoutS));
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
  if (view.about) text.appendText(`\n\n${aboutWords(view.about)}`);
  if (view.draining === true)
    text.appendText(`\n\n${l10n.t('It is drained: what runs there goes on, nothing new starts.')}`);
  if (view.virtual) text.appendText(`\n\n${l10n.t('Its GPUs are declared in the settings, not found.')}`);
  if (view.link.state === 'down') text.appendText(`\n\n${view.link.message}`);
  return text;
}

function aboutWords(about: NodeAbout): string {
  const { os, diskMiB, driver, cuda, gpuTrouble, rsync, sharesHomeWith, clockAheadS, way } = about;
  const lines = [
    [
      os,
      l10n.t('{0} GB free in the home', Math.round(diskMiB / 1024)),
      rsync ? 'rsync' : l10n.t('no rsync'),
    ].join(', '),
    ...(driver === undefined ? [] : [l10n.t('NVIDIA driver {0}, CUDA {1}', driver, cuda ?? '?')]),
    ...(gpuTrouble === undefined ? [] : [l10n.t('No GPU is found: {0}', gpuTrouble)]),
    ...(sharesHomeWith.length === 0 ? [] : [l10n.t('Same home as {0}', sharesHomeWith.join(', '))]),
    ...(clockAheadS === undefined
      ? []
      : [
          clockAheadS > 0
            ? l10n.t('Its clock is {0} s ahead of this one', clockAheadS)
            : l10n.t('Its clock is {0} s behind this one', -clockAheadS),
        ]),
    ...(way === 'ssh2' ? [l10n.t('Connected by the built-in SSH (ssh2)')] : []),
    ...(way === 'ssh' ? [l10n.t("Connected by the system's ssh")] : []),
  ];
  return lines.join('\n\n');
}

/** All that is known of a job. */
export function jobTooltip({ record, reason }: JobView, now: number): vscode.MarkdownString {
  const text = new vscode.MarkdownString();
  text.appendMarkdown(`**${escape(record.name)}** · ${record.status}\n\n`);
  const rows: [string, string][] = [
    [l10n.t('Job'), `${record.id} on ${record.cluster}`],
    [l10n.t('Wants'), record.spec.resources],
    [l10n.t('Submitted'), age(now - record.submittedAt)],
  ];
  if (record.afterIds)
    rows.push([l10n.t('After'), record.afterIds.map((id) => l10n.t('job {0}', id)).join(', ')]);
  if (reason) {
    const place = reason.position === 0 ? '' : ` (${l10n.t('place {0}', reason.position)})`;
    rows.push([reason.kind === 'trouble' ? l10n.t('Runs') : l10n.t('Waits'), `${reason.text}${place}`]);
  }
  if (record.startedAt !== undefined)
    rows.push([l10n.t('Ran'), duration((record.endedAt ?? now) - record.startedAt)]);
  const { timeoutS, retries } = record.spec;
  if (timeoutS !== undefined) rows.push([l10n.t('Time limit of a try'), timeLimitText(timeoutS)]);
  if (retries !== undefined)
    rows.push([l10n.t('Try'), l10n.t('{0} of at most {1}', record.tries ?? 1, retries + 1)]);
  if (record.placement) rows.push([l10n.t('On'), placementText(record.placement)]);
  if (record.exitCodes)
    rows.push([l10n.t('Exit code'), record.exitCodes.map((code) => code ?? '?').join(', ')]);
  if (record.message !== undefined) rows.push([l10n.t('Why'), record.message]);
  if (record.spec.file !== undefined) rows.push([l10n.t('File'), record.spec.file]);
  const { git } = record.spec;
  if (git?.commit !== undefined)
    rows.push([
      l10n.t('Commit'),
      [git.commit.slice(0, 10), ...(git.ref === undefined ? [] : [git.ref])].join(' · '),
    ]);
  text.appendMarkdown(rows.map(([name, value]) => `${name}: ${escape(value)}`).join('  \n'));
  return text;
}

function escape(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+\-.!|<>~]/g, '\\$&').replaceAll('\n', ' ');
}
