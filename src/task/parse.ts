import { buildTask } from './build';
import { ShapeChecker } from './check';
import { FIELDS, TASK_SHAPE } from './fields';
import { headerOf } from './pipeline';
import type { Problem } from './problem';
import { ProblemList } from './problems';
import { readYaml } from './syntax';
import type { Task } from './task';
import { isNull, treeOf, valueOf, type MapNode, type TreeNode } from './tree';

/** What a task file says, and what is wrong with it. */
export interface ParsedTask {
  /** The first task of the file; absent exactly when a problem is an error. */
  readonly task?: Task;
  /** In text order. */
  readonly problems: Problem[];
  /** How many tasks the file has: exec takes a file with one. */
  readonly taskCount: number;
}

/** Reads and checks the text of a task file. Never throws; takes any text. */
export function parseTask(text: string): ParsedTask {
  const problems = new ProblemList();
  const { documents, complete } = readYaml(text, problems);
  const trees = documents.map((document) => treeOf(document, text, problems)).filter((tree) => !isNull(tree));
  const header = headerOf(trees, problems);
  const checker = new ShapeChecker(problems, complete);
  const name = header && valueOf(header, 'name');
  if (name && FIELDS.name) checker.check(name, FIELDS.name.shape, 'name');
  const tasks = trees.filter((tree) => tree !== header).filter((tree) => isTaskDocument(tree, problems));
  for (const task of tasks) checker.check(task, TASK_SHAPE, '');
  reportSeveral(tasks, problems);
  return {
    ...built(tasks[0] ?? header, problems),
    problems: problems.sorted(),
    taskCount: Math.max(1, tasks.length),
  };
}

function isTaskDocument(tree: TreeNode, problems: ProblemList): tree is MapNode {
  if (tree.kind === 'map') return true;
  const message = `A task file is fields with their values, such as \`run: python train.py\`; this is a ${tree.kind === 'list' ? 'list' : 'text'}.`;
  problems.error(tree, 'not-a-task', message);
  return false;
}

function reportSeveral(tasks: readonly MapNode[], problems: ProblemList): void {
  const second = tasks[1];
  if (!second) return;
  const message = `This file holds ${tasks.length} tasks. exec takes a single task: put each in a file of its own.`;
  problems.report('warning', second.entries[0]?.key ?? second, 'several-tasks', message);
}

/** A file of nothing, or of a name only, is a task that does nothing. */
function built(map: MapNode | undefined, problems: ProblemList): { task?: Task } {
  if (problems.hasErrors) return {};
  const empty: MapNode = { kind: 'map', entries: [], start: 0, end: 0 };
  try {
    return { task: buildTask(map ?? empty) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const message = 'The aliases of this file stand for far too much data: write it out where it is needed.';
    problems.error(map?.entries[0]?.key ?? { start: 0, end: 0 }, 'alias-bomb', message);
    return {};
  }
}
