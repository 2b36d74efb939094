import type { NodeDefinition } from '../cluster';
import { demandOf, localPath, QueueError } from '../engine';
import { Scheduler, type JobDemand, type JobRecord } from '../queue';
import type { Task } from '../task';
import type { Queue } from './queue';

/** What `launch` makes a cluster of, and what it does there. */
export interface LaunchRequest {
  readonly name: string;
  /** Candidates; the first `num_nodes` that satisfy `resources` are taken. Ignored when the cluster is there already. */
  readonly nodes: readonly NodeDefinition[];
  readonly task: Task;
  /** Absolute path of the task file; relative paths in it are taken from its folder. */
  readonly file?: string;
  readonly user: string;
}

/** The jobs that a launch queued. */
export interface Launched {
  readonly setup?: JobRecord;
  readonly run?: JobRecord;
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
 * rest again. A step that fails leaves the cluster, so that the step can be repeated; one that never came about is gone.
 * @throws QueueError `refused` with what was found on each host; `workdir`; Error with a node's words
 */
export async function launch(
  queue: Queue,
  request: LaunchRequest,
  watcher: LaunchWatcher,
): Promise<Launched> {
  const { name, task } = request;
  const fresh = queue.view(name) === undefined;
  try {
    if (fresh) {
      watcher.say(`connecting to ${request.nodes.map((node) => node.name).join(', ')}`);
      await queue.addCluster({ name, nodes: request.nodes });
    } else {
      queue.connect(name);
    }
    await settled(queue, name, watcher.signal);
    await choose(queue, request, fresh, watcher);
  } catch (error) {
    if (fresh && queue.view(name)) await queue.removeCluster(name);
    throw error;
  }
  for (const { source, destination } of mountsOf(task, request.file)) {
    watcher.signal.throwIfAborted();
    watcher.say(`placing ${destination}`);
    await queue.mount(name, source, destination);
  }
  watcher.signal.throwIfAborted();
  const options = {
    cluster: name,
    user: request.user,
    ...(request.file === undefined ? {} : { file: request.file }),
  };
  const nodes = queue.definition(name).nodes.length;
  const setup =
    task.setup === undefined
      ? undefined
      : await queue.submit(
          { ...task, name: 'setup', run: task.setup, numNodes: nodes },
          { ...options, phase: 'setup' },
        );
  const run =
    task.run === undefined
      ? undefined
      : await queue.submit(task, { ...options, ...(setup === undefined ? {} : { after: [setup.id] }) });
  return { ...(setup === undefined ? {} : { setup }), ...(run === undefined ? {} : { run }) };
}

/** Resolves when every node of the cluster has been reached or has failed once. */
function settled(queue: Queue, name: string, signal: AbortSignal): Promise<void> {
  const waiting = (): boolean =>
    queue.view(name)?.nodes.some(({ link }) => link.state === 'idle' || link.state === 'connecting') ?? false;
  return new Promise((resolve, reject) => {
    const end = (work: () => void): void => {
      stop();
      signal.removeEventListener('abort', abort);
      work();
    };
    const abort = (): void =>
      end(() => reject(new QueueError('refused', `the launch of ${name} was cancelled`)));
    const check = (): void => {
      if (!waiting()) end(resolve);
    };
    const stop = queue.onDidChange(check);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    else check();
  });
}

/** Keeps the first nodes that fit; says of each host what was found. */
async function choose(
  queue: Queue,
  { name, task }: LaunchRequest,
  fresh: boolean,
  watcher: LaunchWatcher,
): Promise<void> {
  const { nodes } = queue.definition(name);
  const demand = demandOf(task);
  const found = nodes.map((node) => ({ node, flaw: flawOf(queue, name, node, demand) }));
  for (const { node, flaw } of found) watcher.say(`${node.name}: ${flaw ?? factsOf(node)}`);
  const fit = found.filter(({ flaw }) => flaw === undefined).map(({ node }) => node);
  if (fit.length < task.numNodes) {
    const report = found.map(({ node, flaw }) => `${node.name}: ${flaw ?? 'fits'}`).join('; ');
    throw new QueueError(
      'refused',
      `${name} needs ${task.numNodes} ${task.numNodes === 1 ? 'host that fits' : 'hosts that fit'}, and ${fit.length} of ${nodes.length} did: ${report}`,
    );
  }
  if (!fresh || fit.length === nodes.length) return;
  const chosen = fit.slice(0, task.numNodes);
  watcher.say(`taking ${chosen.map((node) => node.name).join(', ')}`);
  await queue.removeCluster(name);
  await queue.addCluster({ name, nodes: chosen });
  await settled(queue, name, watcher.signal);
}

/** Why a host is passed over; undefined when it will do. */
function flawOf(queue: Queue, cluster: string, node: NodeDefinition, demand: JobDemand): string | undefined {
  const link = queue.view(cluster)?.nodes.find((view) => view.name === node.name)?.link;
  if (link?.state === 'down') return link.message;
  const { inventory } = node;
  if (!inventory) return 'it was not reached';
  const scheduler = new Scheduler();
  scheduler.setNode({ id: node.name, ...inventory });
  return scheduler.refusal({ ...demand, numNodes: 1 });
}

function factsOf({ inventory }: NodeDefinition): string {
  if (!inventory) return 'not reached';
  const gpus = new Map<string, number>();
  for (const { name } of inventory.devices) gpus.set(name, (gpus.get(name) ?? 0) + 1);
  const words = [...gpus].map(([gpu, count]) => `${count} × ${gpu}`);
  return [...words, `${inventory.cpus} CPUs`, `${Math.round(inventory.memoryMiB / 1024)} GB`].join(', ');
}

/** The task's `file_mounts` of local paths. @throws QueueError `workdir` for one that only a cloud has */
function mountsOf(task: Task, file: string | undefined): { source: string; destination: string }[] {
  return Object.entries(task.fileMounts).map(([destination, source]) => {
    if (typeof source !== 'string' || /^[a-z0-9]+:\/\//i.test(source)) {
      throw new QueueError(
        'workdir',
        `file_mounts ${destination}: only local files and folders can be placed on your nodes; fetch a bucket in setup instead`,
      );
    }
    return { source: localPath(source, file), destination };
  });
}
