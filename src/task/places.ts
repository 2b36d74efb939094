import { parseAccelerator } from './accelerators';
import { variablesOf } from './build';
import { treesOf } from './explainField';
import { acceleratorEntryText } from './resourceRules';
import type { AcceleratorRequest } from './task';
import { valueOf, type MapNode, type Span, type TreeNode } from './tree';
import { fillIn, hasVariable, valuesOf, type Values } from './variables';

/** An accelerator that a file asks for, and where it does. */
export interface AcceleratorPlace extends Span {
  readonly request: AcceleratorRequest;
  /** The whole place can be replaced by another `NAME:COUNT`. */
  readonly isText: boolean;
  /** The check has already said that it is not written as it is meant. */
  readonly doubted: boolean;
}

/** A path on this machine that a file refers to, with its variables filled in. */
export interface LocalPathPlace extends Span {
  readonly field: 'workdir' | 'file_mounts';
  readonly path: string;
}

/** The accelerators of each task of a file: alternatives of one task together. What cannot be read is left out. */
export function acceleratorPlaces(text: string): AcceleratorPlace[][] {
  return tasksOf(text).map((task) => {
    const resources = valueOf(task, 'resources');
    return resources?.kind === 'map' ? placesOf(resources) : [];
  });
}

function placesOf(resources: MapNode): AcceleratorPlace[] {
  const own = valueOf(resources, 'accelerators') ?? valueOf(resources, 'gpus');
  const nested = ['any_of', 'ordered'].flatMap((key) => {
    const list = valueOf(resources, key);
    return list?.kind === 'list'
      ? list.items.flatMap((item) => (item.kind === 'map' ? placesOf(item) : []))
      : [];
  });
  return [...(own ? requestsOf(own) : []), ...nested];
}

function requestsOf(node: TreeNode): AcceleratorPlace[] {
  if (node.kind === 'list') return node.items.flatMap(requestsOf);
  // A number alone is a mistake, whatever the clusters have.
  if (node.kind === 'scalar')
    return node.type === 'string' ? placeOf(node.text, node, node.style !== 'block') : [];
  return node.entries.flatMap((entry) => placeOf(acceleratorEntryText(entry), entry.key, false));
}

function placeOf(text: string, span: Span, isText: boolean): AcceleratorPlace[] {
  const { value: request, flaw } = parseAccelerator(text);
  const doubted = flaw?.code === 'count-before-name' || flaw?.code === 'stray-space';
  return request ? [{ request, isText, doubted, start: span.start, end: span.end }] : [];
}

const URL = /^[a-z][a-z0-9+.-]*:\/\//i;

/** The paths on this machine; URLs, and paths with variables that have no value, left out. */
export function localPaths(text: string): LocalPathPlace[] {
  return tasksOf(text).flatMap((task) => {
    const values = valuesIn(task);
    const workdir = valueOf(task, 'workdir');
    const mounts = valueOf(task, 'file_mounts');
    const sources = mounts?.kind === 'map' ? mounts.entries.map(({ value }) => value) : [];
    return [
      ...(workdir ? pathOf(workdir, 'workdir', values) : []),
      ...sources.flatMap((source) => pathOf(source, 'file_mounts', values)),
    ];
  });
}

function valuesIn(task: MapNode): Values {
  try {
    return valuesOf(variablesOf(task));
  } catch (error) {
    // Aliases that stand for far too much: the check says so.
    if (error instanceof RangeError) return {};
    throw error;
  }
}

function pathOf(node: TreeNode, field: LocalPathPlace['field'], values: Values): LocalPathPlace[] {
  if (node.kind !== 'scalar' || node.type !== 'string') return [];
  const path = fillIn(node.text, values);
  // One that has no value here may get it by an option of the command line.
  if (path === '' || URL.test(path) || hasVariable(path)) return [];
  return [{ field, path, start: node.start, end: node.end }];
}

function tasksOf(text: string): MapNode[] {
  return treesOf(text).filter((tree): tree is MapNode => tree.kind === 'map');
}
