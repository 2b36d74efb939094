import type { NodeDefinition } from '../cluster';
import { demandOf, isRemoteSource, type Mount } from '../engine';
import { demandWords } from '../queue';
import type { Task } from '../task';
import type { QueueCli } from './withQueue';

/** A launch that is only told of. */
export interface Plan {
  readonly name: string;
  /** Candidates; none for a cluster that is there. */
  readonly nodes: readonly NodeDefinition[];
  readonly task: Task;
  readonly mounts: readonly Mount[];
  readonly all: boolean;
}

/** What a launch would do, a step a line. Which hosts fit is known only when they were connected to. */
export function planLines({ queue }: QueueCli, { name, nodes, task, mounts, all }: Plan): string[] {
  const view = queue.view(name);
  const there = nodes.length === 0 ? queue.definition(name).nodes : nodes;
  const names = there.map((node) => node.name).join(', ');
  const demand = demandOf(task).alternatives.map(demandWords).join(', or ');
  const count = `${task.numNodes} ${task.numNodes === 1 ? 'host' : 'hosts'}`;
  const made = all
    ? `make a cluster ${name} of all that can be reached of: ${names}`
    : `make a cluster ${name} of the first ${count} with ${demand} of: ${names}`;
  const found = `connect to ${name} (${names}), and see that ${count} there can have ${demand}`;
  return [
    view && view.launch?.name !== 'connect' ? found : made,
    ...mounts.map(({ source, destination }) =>
      isRemoteSource(source) ? `fetch ${source} to ${destination}` : `place ${source} as ${destination}`,
    ),
    ...(task.setup === undefined ? [] : ['run setup on all its nodes']),
    ...(task.run === undefined
      ? []
      : [`queue the task${task.setup === undefined ? '' : ', for after that'}`]),
    'nothing of this was done: --dryrun was said',
  ];
}
