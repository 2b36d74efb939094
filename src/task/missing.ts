import type { Task } from './task';

/** Variables that the file leaves open (null), to be asked for at exec; in the file's order. */
export function missingValues(task: Task): { readonly envs: string[]; readonly secrets: string[] } {
  return { envs: openOnes(task.envs), secrets: openOnes(task.secrets) };
}

function openOnes(variables: Readonly<Record<string, string | null>>): string[] {
  return Object.keys(variables).filter((name) => variables[name] === null);
}
