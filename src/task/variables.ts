import type { Task } from './task';

/** Values by name, as `envs` and `secrets` have them; null: not given yet. */
export type Values = Readonly<Record<string, string | null>>;

/** SkyPilot's pattern (`_fill_in_env_vars` in sky/task.py): a brace on one side alone is taken with the name too. */
const VARIABLE = /\$\{?([a-zA-Z_][a-zA-Z0-9_]*)\b\}?/g;

/** What paths of a task are filled in from: its variables and secrets; a secret wins, as in SkyPilot. */
export function valuesOf({ envs, secrets }: Pick<Task, 'envs' | 'secrets'>): Values {
  return { ...envs, ...secrets };
}

/**
 * A text with `$NAME` and `${NAME}` replaced by their values. What has no value stays as it is written, and there is no
 * `${NAME:-default}`, as in SkyPilot. Values are not looked through again.
 */
export function fillIn(text: string, values: Values): string {
  return text.replace(VARIABLE, (written, name: string) =>
    Object.hasOwn(values, name) ? (values[name] ?? written) : written,
  );
}

/** Whether a text that was filled in still names a variable, which somebody may give a value later. */
export function hasVariable(text: string): boolean {
  return text.search(VARIABLE) !== -1;
}

/** The task's `file_mounts` with variables filled in on both sides; where two destinations become one, the last counts. */
export function filledMounts(task: Task): Readonly<Record<string, unknown>> {
  return filled(task.fileMounts, valuesOf(task)) as Record<string, unknown>;
}

function filled(data: unknown, values: Values): unknown {
  if (typeof data === 'string') return fillIn(data, values);
  if (Array.isArray(data)) return data.map((item) => filled(item, values));
  if (typeof data !== 'object' || data === null) return data;
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [fillIn(key, values), filled(value, values)]),
  );
}
