import { randomUUID } from 'node:crypto';
import type { LaunchJobs, LaunchStep, NodeDefinition } from '../cluster';
import { demandOf, isRemoteSource, QueueError, type SubmitOptions } from '../engine';
import { afterName, demandWords, Scheduler, type JobDemand, type JobRecord, type NodeDemand } from '../queue';
import type { Task } from '../task';
import { requireSources } from './mounts';
import type { Queue } from './queue';
import { unsettled, until } from './waiting';

// Longer than a login takes that asks nobody.
const REMIND_MS = 15_000;

/** What `launch` makes a cluster of, and what it does there. */
export interface LaunchRequest {
  readonly name: string;
  /** Candidates; the first `num_nodes` that satisfy `resources` are taken. Ignored when the cluster is there already. */
  readonly nodes: readonly NodeDefinition[];
  /** Takes every candidate that can be used: there is no task that says how many. */
  readonly all?: boolean;
  readonly task: Task;
  /** Absolute path of the task file. */
  readonly file?: string;
  /** As `SubmitOptions.folders`. */
  readonly folders?: readonly string[];
  readonly user: string;
  /** Time limit and retries of the task itself; its setup has none. */
  readonly limits?: Pick<SubmitOptions, 'timeoutS' | 'retries'>;
}

/** The jobs that a launch queued, and the hosts that it did not take. */
export interface Launched {
  readonly setup?: JobRecord;
  readonly run?: JobRecord;
  readonly passedOver: readonly PassedOver[];
}

/** A host that was not taken, and why. */
export interface PassedOver {
  readonly node: string;
  readonly why: string;
}

/** A line for each reason why hosts were passed over; a reason that many have in common is said once. */
export function passedOverWords(passedOver: readonly PassedOver[]): string[] {
  const hosts = new Map<string, string[]>();
  for (const { node, why } of passedOver) hosts.set(why, [...(hosts.get(why) ?? []), node]);
  return [...hosts].map(([why, nodes]) => `passed over ${nodes.join(', ')}: ${why}`);
}

/** Who hears how a launch goes, and may end it. */
export interface LaunchWatcher {
  /** A step began, or a node was found fit or passed over; for a person. */
  readonly say: (words: string) => void;
  readonly signal: AbortSignal;
}

/**
 * `sky launch` for machines one already has: connects to the candidates, takes those that fit, places `file_mounts`, and
 * queues `setup` on all nodes and `run` after it. On a cluster that is there it checks that the task fits, and does the
 * rest again. A step that fails, or whose process ends, leaves the cluster, which says so (`ClusterView.launch`): launched
 * once more, it goes on with that step, files that were placed before are not placed again, and jobs that were queued are not
 * queued again. One that is cancelled while it connects is gone.
 * @throws QueueError `workdir`, before anything else, for what is not on this machine; `refused` with what was found on each
 *   host; Error with a node's words
 */
export async function launch(
  queue: Queue,
  request: LaunchRequest,
  watcher: LaunchWatcher,
): Promise<Launched> {
  const { name, task, file } = request;
  // A mistake in the task must change nothing of a cluster whose jobs run well.
  const mounts = requireSources(task, request);
  const before = queue.view(name)?.launch;
  const passedOver = await connect(queue, request, watcher);
  // The same launch once more: what it placed before it failed is there.
  const resumed = before?.name === 'files' && before.file === file;
  const at = { name: 'files', jobs: uuidsFor(task, resumed ? before.jobs : undefined) } as const;
  const jobs = await step(queue, request, watcher, at, async () => {
    for (const mount of mounts) {
      watcher.signal.throwIfAborted();
      const { source, destination } = mount;
      watcher.say(isRemoteSource(source) ? `fetching ${source} to ${destination}` : `placing ${destination}`);
      await queue.mount(name, mount, { missing: resumed });
    }
    watcher.signal.throwIfAborted();
    return enqueue(queue, request, at.jobs);
  });
  await queue.noteLaunch(name, undefined);
  return { ...jobs, passedOver };
}

/** A uuid for each job that the launch of a task queues; those that it had before stay. */
function uuidsFor({ setup, run }: Task, before: LaunchJobs | undefined): LaunchJobs {
  return {
    ...(setup === undefined ? {} : { setup: before?.setup ?? randomUUID() }),
    ...(run === undefined ? {} : { run: before?.run ?? randomUUID() }),
  };
}

/** Makes sure of nodes that can be reached and fit; returns those that were not taken. */
async function connect(queue: Queue, request: LaunchRequest, watcher: LaunchWatcher): Promise<PassedOver[]> {
  const { name, nodes, file } = request;
  const view = queue.view(name);
  if (view && view.launch?.name !== 'connect') {
    queue.connect(name);
    await settled(queue, name, watcher);
    // Which nodes it has was decided when it was made.
    look(queue, request, watcher);
    return [];
  }
  try {
    return await step(queue, request, watcher, { name: 'connect' }, async () => {
      const candidates = nodes.length > 0 ? nodes : queue.definition(name).nodes;
      watcher.say(`connecting to ${candidates.map((node) => node.name).join(', ')}`);
      if (!view) {
        const under = { name: 'connect', ...(file === undefined ? {} : { file }) } as const;
        await queue.addCluster({ name, nodes, launch: { step: under } });
      } else {
        const given = new Set(candidates.map((node) => node.name));
        const there = queue.definition(name).nodes.map((node) => node.name);
        await queue.changeNodes(name, {
          add: candidates,
          remove: there.filter((node) => !given.has(node)),
        });
        await queue.refresh(name);
      }
      await settled(queue, name, watcher);
      const given = candidates.map((node) => node.name);
      return take(queue, request, look(queue, request, watcher, given), watcher);
    });
  } catch (error) {
    if (!view && watcher.signal.aborted && queue.view(name)) await queue.removeCluster(name);
    throw error;
  }
}

/** Does a step of a launch, with a cluster that says that it is at it, or why it failed. */
async function step<T>(
  queue: Queue,
  { name, file }: LaunchRequest,
  { signal }: LaunchWatcher,
  which: Pick<LaunchStep, 'name' | 'jobs'>,
  work: () => Promise<T>,
): Promise<T> {
  const at: LaunchStep = { ...which, ...(file === undefined ? {} : { file }) };
  if (queue.view(name)) await queue.noteLaunch(name, at);
  // Whoever has taken the queue over meanwhile cannot know that this process is still at it.
  let renoted = Promise.resolve();
  const stop = queue.onDidChange(() => {
    const noted = queue.view(name)?.launch;
    if (noted?.message === undefined || noted.name !== at.name) return;
    renoted = queue.noteLaunch(name, at).catch(() => undefined);
  });
  const end = async (): Promise<void> => {
    stop();
    await renoted;
  };
  try {
    const result = await work();
    await end();
    return result;
  } catch (error) {
    await end();
    const words = error instanceof Error ? error.message : String(error);
    const message = signal.aborted ? 'it was cancelled' : words;
    if (queue.view(name)) await queue.noteLaunch(name, { ...at, message });
    throw error;
  }
}

async function enqueue(
  queue: Queue,
  request: LaunchRequest,
  uuids: LaunchJobs,
): Promise<Pick<Launched, 'setup' | 'run'>> {
  const { name, task, file, folders } = request;
  const options = {
    cluster: name,
    user: request.user,
    ...(file === undefined ? {} : { file }),
    ...(folders === undefined ? {} : { folders }),
  };
  const nodes = queue.view(name)?.nodes.filter(({ twinOf }) => twinOf === undefined).length ?? 0;
  const setup =
    task.setup === undefined
      ? undefined
      : await queue.submit(
          { ...task, name: 'setup', run: task.setup, numNodes: nodes },
          {
            ...options,
            ...(uuids.setup !== undefined && { uuid: uuids.setup }),
            phase: 'setup',
            alternative: chosenBy(queue, request),
          },
        );
  const run =
    task.run === undefined
      ? undefined
      : await queue.submit(task, {
          ...options,
          ...request.limits,
          ...(uuids.run !== undefined && { uuid: uuids.run }),
          ...(setup === undefined ? {} : { after: [setup.id], setup: setup.id }),
        });
  return { ...(setup === undefined ? {} : { setup }), ...(run === undefined ? {} : { run }) };
}

/** Which of the task's alternatives its hosts were chosen by; the first where that cannot be told. */
function chosenBy(queue: Queue, { name, task }: LaunchRequest): number {
  const demand = demandOf(task);
  const fit = queue
    .definition(name)
    .nodes.map((node) => ({ node, flaw: flawOf(queue, name, node, demand) }))
    .filter(({ flaw }) => flaw === undefined);
  return firstThatFit(task, fit)?.alternative ?? 0;
}

/** Resolves when every node of the cluster has been reached or has failed once. */
async function settled(queue: Queue, name: string, { say, signal }: LaunchWatcher): Promise<void> {
  const waiting = (): string[] => unsettled(queue.view(name));
  const others = queue.role === 'client' ? ' (perhaps a VS Code window or another terminal is asked)' : '';
  const remind = setInterval(() => say(`still connecting to ${waiting().join(', ')}${others}`), REMIND_MS);
  const met = await until(queue, () => waiting().length === 0, signal).finally(() => clearInterval(remind));
  if (!met) throw new QueueError('refused', `the launch of ${name} was cancelled`);
}

/** A node of the cluster, and why it cannot be used. */
interface Found {
  readonly node: NodeDefinition;
  readonly flaw: string | undefined;
}

/**
 * Says of each node what was found there; in the order given, else in the cluster's.
 * @throws QueueError `refused` when fewer than the task needs can be used
 */
function look(
  queue: Queue,
  { name, task }: LaunchRequest,
  watcher: LaunchWatcher,
  given?: readonly string[],
): readonly Found[] {
  const defined = queue.definition(name).nodes;
  const nodes = given?.flatMap((host) => defined.filter((node) => node.name === host)) ?? defined;
  const demand = demandOf(task);
  const found = nodes.map((node) => ({ node, flaw: flawOf(queue, name, node, demand) }));
  for (const { node, flaw } of found) watcher.say(`${node.name}: ${flaw ?? factsOf(node)}`);
  const fit = found.filter(({ flaw }) => flaw === undefined);
  if (firstThatFit(task, fit)) return found;
  const report = found.map(({ node, flaw }) => `${node.name}: ${flaw ?? 'fits'}`).join('; ');
  const more = given ? '' : `. More nodes are added by Add Node… on its row, or cq add-node ${name} HOST`;
  const alike = fit.length < task.numNodes ? '' : ', but not by one and the same of its resources';
  throw new QueueError(
    'refused',
    `${name} needs ${task.numNodes} ${task.numNodes === 1 ? 'host that fits' : 'hosts that fit'}, and ${fit.length} of ${nodes.length} did${alike}: ${report}${more}`,
  );
}

/** Keeps as many nodes as the task needs, the first that fit; returns the others. */
async function take(
  queue: Queue,
  { name, task, all }: LaunchRequest,
  found: readonly Found[],
  watcher: LaunchWatcher,
): Promise<PassedOver[]> {
  const fit = found.filter(({ flaw }) => flaw === undefined);
  const chosen = (all === true ? undefined : firstThatFit(task, fit)?.hosts) ?? fit;
  const others = found.filter((candidate) => !chosen.includes(candidate));
  if (others.length === 0) return [];
  watcher.say(`taking ${chosen.map(({ node }) => node.name).join(', ')}`);
  await queue.changeNodes(name, { remove: others.map(({ node }) => node.name) });
  const spare = `not needed (num_nodes is ${task.numNodes})`;
  return others.map(({ node, flaw }) => ({ node: node.name, why: flaw ?? spare }));
}

/**
 * The first `num_nodes` that a task can have at once: all by one and the same of its alternatives, by the first of those
 * where they are in order of preference; and which one that is. Undefined: there are too few.
 */
function firstThatFit(
  task: Task,
  fit: readonly Found[],
): { readonly hosts: readonly Found[]; readonly alternative: number } | undefined {
  const sets = demandOf(task)
    .alternatives.map((demand, alternative) => ({
      alternative,
      hosts: fit.filter(({ node }) => has(node, demand)).slice(0, task.numNodes),
    }))
    .filter(({ hosts }) => hosts.length === task.numNodes);
  const end = ({ hosts }: (typeof sets)[number]): number =>
    Math.max(...hosts.map((found) => fit.indexOf(found)));
  return task.ordered ? sets[0] : sets.sort((a, b) => end(a) - end(b))[0];
}

/** Why a host is passed over; undefined when it will do. */
function flawOf(queue: Queue, cluster: string, node: NodeDefinition, demand: JobDemand): string | undefined {
  const link = queue.view(cluster)?.nodes.find((view) => view.name === node.name)?.link;
  if (link?.state === 'down') return afterName(link.message, node.name, node.destination);
  if (!node.inventory) return 'it was not reached';
  if (demand.alternatives.some((alternative) => has(node, alternative))) return undefined;
  return `has ${factsOf(node)}; needs ${demand.alternatives.map(demandWords).join(', or ')}`;
}

function has({ name, inventory }: NodeDefinition, demand: NodeDemand): boolean {
  if (!inventory) return false;
  const scheduler = new Scheduler();
  scheduler.setNode({ id: name, ...inventory });
  return scheduler.refusal({ numNodes: 1, alternatives: [demand] }) === undefined;
}

function factsOf({ inventory }: NodeDefinition): string {
  if (!inventory) return 'not reached';
  const gpus = new Map<string, number>();
  for (const { name } of inventory.devices) gpus.set(name, (gpus.get(name) ?? 0) + 1);
  const words = [...gpus].map(([gpu, count]) => `${count} × ${gpu}`);
  return [...words, `${inventory.cpus} CPUs`, `${Math.round(inventory.memoryMiB / 1024)} GB`].join(', ');
}
