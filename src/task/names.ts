import type { Flaw } from './grammar';

/** Letters, digits, and single or double `. _ -` between them, as SkyPilot has it. */
export const TASK_NAME = /^[a-zA-Z0-9]+(?:[._-]{1,2}[a-zA-Z0-9]+)*$/;
export const ENV_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

// The pattern backtracks badly on long runs of separators, which also no screen could show.
const LONGEST_NAME = 256;

/** What is wrong with a task's name; undefined when nothing is. */
export function taskNameFlaw(name: string): Flaw | undefined {
  const tooLong = name.length > LONGEST_NAME;
  if (!tooLong && TASK_NAME.test(name)) return undefined;
  const cleaned = name
    .slice(0, LONGEST_NAME)
    .replace(/[^a-zA-Z0-9._-]+/g, '-')
    .replace(/[._-]{3,}/g, '-')
    .replace(/^[._-]+|[._-]+$/g, '');
  return {
    code: 'bad-name',
    message: tooLong
      ? `A task name has at most ${LONGEST_NAME} characters; this one has ${name.length}.`
      : 'A task name has ASCII letters, digits, `.`, `_` and `-`, starts and ends with a letter or digit, ' +
        'and has no three separators in a row.',
    severity: 'error',
    ...(cleaned !== '' && { replacement: cleaned }),
  };
}

/** What is wrong with the name of an environment variable; undefined when nothing is. */
export function envNameFlaw(name: string): Flaw | undefined {
  if (ENV_NAME.test(name)) return undefined;
  const cleaned = name.replace(/[^a-zA-Z0-9_]/g, '_').replace(/^(?=\d)/, '_');
  return {
    code: 'bad-env-name',
    message:
      'The name of an environment variable has ASCII letters, digits and `_`, and does not start with a digit.',
    severity: 'error',
    // Of a name in another script only underscores are left.
    ...(/[^_]/.test(cleaned) && { replacement: cleaned }),
  };
}
