import { parseAccelerator } from './accelerators';
import { infraFlaw } from './cloudValues';
import { TaskError } from './errors';
import type { Parsed } from './grammar';
import { envNameFlaw, taskNameFlaw } from './names';
import { parseCpus, parseMemory } from './quantities';
import type { ResourceAlternative, Task, TaskOverrides } from './task';

/**
 * The task with what the command line or a menu changes in it. As in SkyPilot, `gpus`, `cpus`, `memory` and `infra`
 * hold for every alternative; alternatives that become the same are merged.
 * Throws `TaskError` for a value that a task file could not have either.
 */
export function applyOverrides(task: Task, overrides: TaskOverrides): Task {
  const { name, numNodes, priority, workdir } = overrides;
  if (name !== undefined) refuseFlaw('name', taskNameFlaw(name));
  if (overrides.infra !== undefined) refuseFlaw('infra', infraFlaw(overrides.infra));
  if (numNodes !== undefined && !(Number.isInteger(numNodes) && numNodes >= 1)) {
    throw new TaskError(
      'out-of-range',
      `The number of nodes must be whole and at least 1, not ${numNodes}.`,
      'numNodes',
    );
  }
  if (priority !== undefined && !(Number.isInteger(priority) && Math.abs(priority) <= 1000)) {
    throw new TaskError(
      'out-of-range',
      `The priority must be whole and from -1000 to 1000, not ${priority}.`,
      'priority',
    );
  }
  return {
    ...task,
    ...(name !== undefined && { name }),
    ...(numNodes !== undefined && { numNodes }),
    ...(priority !== undefined && { priority }),
    ...(workdir !== undefined && { workdir }),
    resources: resources(task.resources, overrides),
    envs: variables('envs', task.envs, overrides.envs),
    secrets: variables('secrets', task.secrets, overrides.secrets),
  };
}

/** A task that asks for nothing and does nothing. */
export const EMPTY_TASK: Task = {
  numNodes: 1,
  resources: [{}],
  ordered: false,
  priority: 0,
  envs: {},
  secrets: {},
  fileMounts: {},
};

/** An inline command as a task: what `exec CLUSTER -- COMMAND` runs. */
export function commandTask(command: string): Task {
  return { ...EMPTY_TASK, name: 'sky-cmd', run: command };
}

function resources(
  given: readonly ResourceAlternative[],
  overrides: TaskOverrides,
): readonly ResourceAlternative[] {
  const { gpus, cpus, memory, infra } = overrides;
  if ([gpus, cpus, memory, infra].every((value) => value === undefined)) return given;
  const changed = given.map((alternative) => {
    const { accelerator, ...rest } = alternative;
    return {
      ...(gpus === undefined ? accelerator && { accelerator } : requestOf(gpus)),
      ...rest,
      ...(cpus !== undefined && { cpus: read('cpus', parseCpus(cpus)) }),
      ...(memory !== undefined && { memoryMiB: read('memory', parseMemory(memory)) }),
      ...(infra !== undefined && { infra }),
    };
  });
  const seen = new Set<string>();
  return changed.filter((alternative) => {
    const key = JSON.stringify(alternative);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function requestOf(gpus: string): Pick<ResourceAlternative, 'accelerator'> {
  if (gpus.trim().toLowerCase() === 'none') return {};
  return { accelerator: read('gpus', parseAccelerator(gpus)) };
}

function variables(
  field: 'envs' | 'secrets',
  given: Readonly<Record<string, string | null>>,
  more: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string | null>> {
  for (const name of Object.keys(more)) {
    const flaw = envNameFlaw(name);
    refuseFlaw(field, flaw && { ...flaw, message: `\`${name}\`: ${flaw.message}` });
  }
  return { ...given, ...more };
}

/** The value, also of a warning: what a file may say, an override may too. */
function read<T>(field: string, parsed: Parsed<T>): T {
  if (parsed.value === undefined) {
    throw new TaskError(
      parsed.flaw?.code ?? 'bad-value',
      parsed.flaw?.message ?? 'This value cannot be read.',
      field,
    );
  }
  return parsed.value;
}

function refuseFlaw(field: string, flaw: { code: string; message: string } | undefined): void {
  if (flaw) throw new TaskError(flaw.code, flaw.message, field);
}
