import { parseAccelerator } from './accelerators';
import { plainData, pythonValueText } from './plainData';
import { parseCpus, parseMemory } from './quantities';
import { acceleratorEntryText } from './resourceRules';
import { numberOf, pythonText } from './scalar';
import type { AcceleratorRequest, GitWorkdir, ResourceAlternative, Task } from './task';
import { isNull, valueOf, type MapNode, type TreeNode } from './tree';

/** Makes the task of a document in which no error was found. Throws `RangeError` when aliases blow it up. */
export function buildTask(map: MapNode): Task {
  const numNodes = valueOf(map, 'num_nodes');
  return {
    ...text(map, 'name'),
    ...workdir(valueOf(map, 'workdir')),
    numNodes: numNodes?.kind === 'scalar' ? numberOf(numNodes.text) : 1,
    ...resourcesOf(valueOf(map, 'resources')),
    ...variablesOf(map),
    fileMounts: mounts(valueOf(map, 'file_mounts')),
    ...text(map, 'setup'),
    ...text(map, 'run'),
  };
}

/** The variables and secrets of a task's document. Throws as `plainData`. */
export function variablesOf(map: MapNode): Pick<Task, 'envs' | 'secrets'> {
  return { envs: variables(valueOf(map, 'envs')), secrets: variables(valueOf(map, 'secrets')) };
}

function text<Key extends string>(map: MapNode, key: Key): Partial<Record<Key, string>> {
  const node = valueOf(map, key);
  const result: Partial<Record<string, string>> = node?.kind === 'scalar' ? { [key]: node.text } : {};
  return result;
}

function workdir(node: TreeNode | undefined): { workdir?: string | GitWorkdir } {
  if (node?.kind === 'scalar') return { workdir: node.text };
  if (node?.kind !== 'map') return {};
  const { url = '', ref } = { ...text(node, 'url'), ...text(node, 'ref') };
  return { workdir: ref === undefined ? { url } : { url, ref } };
}

function variables(node: TreeNode | undefined): Record<string, string | null> {
  if (node?.kind !== 'map') return {};
  const own = node.entries.filter(({ key }) => !key.text.startsWith('secrets:'));
  return Object.fromEntries(
    own.map(({ key, value }) => [
      pythonText(key.type, key.text),
      isNull(value) ? null : pythonValueText(value),
    ]),
  );
}

function mounts(node: TreeNode | undefined): Record<string, unknown> {
  if (node?.kind !== 'map') return {};
  return Object.fromEntries(node.entries.map(({ key, value }) => [key.text, plainData(value)]));
}

type Resources = Pick<Task, 'resources' | 'ordered' | 'priority' | 'retries'>;

function resourcesOf(node: TreeNode | undefined): Resources {
  if (node?.kind !== 'map') return { resources: [{}], ordered: false, priority: 0 };
  const base = layer(node);
  const orderedList = valueOf(node, 'ordered');
  const list = valueOf(node, 'any_of') ?? orderedList;
  const items = list?.kind === 'list' ? list.items.filter((item) => item.kind === 'map') : [];
  const layers = items.length > 0 ? items.map((item) => ({ ...base, ...layer(item) })) : [base];
  const ordered = items.length > 0 ? list === orderedList : base.accelerators?.ordered === true;
  return {
    resources: layers.flatMap((one) => alternativesOf(one)),
    ordered,
    priority: layers[0]?.priority ?? 0,
    ...(layers[0]?.retries !== undefined && { retries: layers[0].retries }),
  };
}

interface Layer {
  readonly accelerators?: { readonly requests: readonly AcceleratorRequest[]; readonly ordered: boolean };
  readonly cpus?: ResourceAlternative['cpus'];
  readonly memoryMiB?: ResourceAlternative['memoryMiB'];
  readonly infra?: string;
  readonly priority?: number;
  readonly retries?: number;
}

/** What one mapping of resources says itself; a field that is absent leaves the base as it is. */
function layer(map: MapNode): Layer {
  const accelerators = valueOf(map, 'accelerators') ?? valueOf(map, 'gpus');
  const cpus = scalarText(map, 'cpus');
  const memory = scalarText(map, 'memory');
  const infra = scalarText(map, 'infra');
  const priority = valueOf(map, 'priority');
  const recovery = valueOf(map, 'job_recovery');
  const retries = recovery?.kind === 'map' ? valueOf(recovery, 'max_restarts_on_errors') : undefined;
  return {
    ...(accelerators && { accelerators: requests(accelerators) }),
    ...(cpus !== undefined && { cpus: parseCpus(cpus).value }),
    ...(memory !== undefined && { memoryMiB: parseMemory(memory).value }),
    ...(infra !== undefined && { infra }),
    ...(priority?.kind === 'scalar' && { priority: numberOf(priority.text) }),
    ...(retries?.kind === 'scalar' && { retries: numberOf(retries.text) }),
  };
}

function scalarText(map: MapNode, key: string): string | undefined {
  const node = valueOf(map, key);
  return node?.kind === 'scalar' ? pythonText(node.type, node.text) : undefined;
}

function requests(node: TreeNode): NonNullable<Layer['accelerators']> {
  const texts =
    node.kind === 'map'
      ? node.entries.map(acceleratorEntryText)
      : (node.kind === 'list' ? node.items : [node]).map((item) => (item.kind === 'scalar' ? item.text : ''));
  const parsed = [...new Set(texts)].map((one) => parseAccelerator(one).value);
  return {
    requests: parsed.filter((one) => one !== undefined),
    ordered: node.kind === 'list' && texts.length > 1,
  };
}

function alternativesOf({ accelerators, cpus, memoryMiB, infra }: Layer): ResourceAlternative[] {
  const shared = {
    ...(cpus && { cpus }),
    ...(memoryMiB && { memoryMiB }),
    ...(infra !== undefined && { infra }),
  };
  const wanted = accelerators?.requests ?? [];
  return wanted.length === 0 ? [shared] : wanted.map((accelerator) => ({ accelerator, ...shared }));
}
