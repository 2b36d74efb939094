import type { ProblemList } from './problems';
import type { MapNode, TreeNode } from './tree';

const PIPELINE_FIELDS = ['name', 'execution'];

/**
 * The first document, when it is no task but says how the others go together: only a name and `execution`, or the
 * head of a SkyPilot job group.
 */
export function headerOf(trees: readonly TreeNode[], problems: ProblemList): MapNode | undefined {
  const [first] = trees;
  if (first?.kind !== 'map' || first.entries.length === 0) return undefined;
  const execution = first.entries.find(({ key }) => key.text === 'execution');
  const mode = execution?.value.kind === 'scalar' ? execution.value.text : undefined;
  if (execution && mode === 'parallel' && trees.length > 1) {
    const message =
      'A job group runs its tasks at the same time, which only SkyPilot does: exec takes a single task.';
    problems.report('warning', execution.key, 'job-group', message);
    return first;
  }
  if (trees.length === 1 && !execution) return undefined;
  if (!first.entries.every(({ key }) => PIPELINE_FIELDS.includes(key.text))) return undefined;
  if (execution && mode !== 'serial') {
    const message =
      'The documents of a pipeline run one after the other: `execution` is `serial`, or left out.';
    problems.error(execution.value, 'bad-value', message, { title: 'Change to `serial`', text: 'serial' });
  }
  return first;
}
