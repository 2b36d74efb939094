import type { Flaw } from './grammar';

/** What is wrong with a text that holds a NUL, which YAML can write (`"\0"`) and no process can be given. */
export function nulFlaw(text: string): Flaw | undefined {
  if (!text.includes('\0')) return undefined;
  return {
    code: 'nul-character',
    message:
      'This holds a NUL character (`\\0`), which no script, variable or path can hold: take it out, or have the script make it (`printf`).',
    severity: 'error',
  };
}

/** The first of a task's scripts, variables and secrets that holds a NUL, as `run` or `envs.NAME`; undefined for none. */
export function fieldWithNul(task: {
  readonly run?: string;
  readonly setup?: string;
  readonly envs: Readonly<Record<string, string | null>>;
  readonly secrets: Readonly<Record<string, string | null>>;
}): string | undefined {
  const { run = '', setup = '', envs, secrets } = task;
  const all: [string, string][] = [
    ['run', run],
    ['setup', setup],
    ...texts('envs', envs),
    ...texts('secrets', secrets),
  ];
  return all.find(([, text]) => text.includes('\0'))?.[0];
}

function texts(field: string, values: Readonly<Record<string, string | null>>): [string, string][] {
  return Object.entries(values).map(([name, value]) => [
    `${field}.${name.replaceAll('\0', '\\0')}`,
    `${name}${value ?? ''}`,
  ]);
}
