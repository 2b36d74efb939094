import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseEnv } from 'node:util';
import {
  applyOverrides,
  commandTask,
  EMPTY_TASK,
  envNameFlaw,
  missingValues,
  parseAccelerator,
  parseTask,
  TaskError,
  type Task,
  type TaskOverrides,
} from '../task';
import { CliError, readText, UsageError } from './errors';
import { priorityOf, wholeNumber } from './numbers';
import { problemLines } from './problemLines';
import type { TaskFlags } from './taskOptions';
import type { Cli } from './withQueue';

/** The task that a command line means: of a file, or of what stood after `--`. @throws CliError, UsageError */
export function readTask(
  cli: Cli,
  words: readonly string[],
  flags: TaskFlags,
): { task: Task; file?: string } {
  const { command } = cli;
  if (command !== undefined) {
    if (words.length > 0) throw new UsageError('give a task file, or a command after --, not both');
    if (command.length === 0) throw new UsageError('no command after --');
    return { task: overridden(cli, commandTask(command.join(' ')), flags) };
  }
  const [file, second] = words;
  if (file === undefined) throw new UsageError('give a task file, or a command after --');
  if (second !== undefined)
    throw new UsageError(
      `more than one task file; to run a command, put -- before it: -- ${words.join(' ')}`,
    );
  if (!existsSync(file)) {
    const command = /\.ya?ml$/i.test(file) ? '' : `; to run a command, put -- before it: -- ${file}`;
    throw new CliError(`there is no file ${file}${command}`);
  }
  const full = path.resolve(file);
  const text = readText(file);
  const { task, problems, taskCount } = parseTask(text);
  for (const line of problemLines(cli.terminal, file, text, problems)) cli.terminal.note(line);
  if (!task) throw new CliError(`${file} has mistakes: nothing was queued`);
  if (taskCount > 1)
    throw new CliError(`${file} holds ${taskCount} tasks, and exec takes one: put each in a file of its own`);
  return { task: overridden(cli, task, flags), file: full };
}

/** What options ask of machines where there is nothing to run. */
export function readNoTask(cli: Cli, flags: TaskFlags): { task: Task; file?: undefined } {
  return { task: overridden(cli, EMPTY_TASK, flags) };
}

function overridden({ terminal }: Cli, task: Task, flags: TaskFlags): Task {
  const { name, gpus, cpus, memory } = flags;
  const ofFile = flags.envFile === undefined ? {} : readEnvFile(flags.envFile);
  const isSecret = (key: string): boolean => key in task.secrets;
  const pick = (wanted: boolean): Record<string, string> =>
    Object.fromEntries(Object.entries(ofFile).filter(([key]) => isSecret(key) === wanted));
  const overrides: TaskOverrides = {
    ...(name === undefined ? {} : { name }),
    ...(gpus === undefined ? {} : { gpus }),
    ...(cpus === undefined ? {} : { cpus }),
    ...(memory === undefined ? {} : { memory }),
    ...(flags.numNodes === undefined ? {} : { numNodes: wholeNumber('--num-nodes', flags.numNodes) }),
    ...(flags.priority === undefined ? {} : { priority: priorityOf(flags.priority) }),
    ...(flags.workdir === undefined ? {} : { workdir: folder(flags.workdir) }),
    envs: { ...pick(false), ...pairs('--env', flags.env) },
    secrets: { ...pick(true), ...pairs('--secret', flags.secret) },
  };
  const changed = ofOptions(flags, () => applyOverrides(task, overrides));
  const flaw = gpus === undefined ? undefined : parseAccelerator(gpus).flaw;
  if (flaw) terminal.note(`--gpus ${gpus ?? ''}: ${flaw.message}`);
  const missing = missingValues(changed);
  const wanted = [
    ...missing.envs.map((key) => `--env ${key}=…`),
    ...missing.secrets.map((key) => `--secret ${key}=…`),
  ];
  if (wanted.length > 0) throw new CliError(`the task leaves values open: give ${wanted.join(' ')}`);
  return changed;
}

/** What is done for options, and what is wrong with one says which. @throws UsageError; CliError of what is in a file */
function ofOptions<T>(flags: TaskFlags, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof TaskError)) throw error;
    const { field, message } = error;
    // Those of the command line were looked at before.
    if (field === 'envs' || field === 'secrets')
      throw new CliError(`--env-file ${flags.envFile ?? ''}: ${message}`);
    if (field === 'numNodes') throw new UsageError(`--num-nodes ${flags.numNodes ?? ''}: ${message}`);
    if (field !== 'name' && field !== 'gpus' && field !== 'cpus' && field !== 'memory') throw error;
    throw new UsageError(`--${field} ${flags[field] || "''"}: ${message}`);
  }
}

/** `NAME=VALUE`, or `NAME` for the value it has in this environment. */
function pairs(flag: string, given: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    given.map((text) => {
      const equals = text.indexOf('=');
      const name = equals < 0 ? text : text.slice(0, equals);
      const flaw = equals === 0 ? undefined : envNameFlaw(name);
      // Without the value, which may be a secret.
      if (flaw) throw new UsageError(`${flag} ${name}: ${flaw.message}`);
      if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
      const value = equals === 0 ? undefined : process.env[text];
      if (value === undefined)
        throw new UsageError(`${flag} ${text}: write NAME=VALUE, or the name of a variable that is set here`);
      return [text, value];
    }),
  );
}

function readEnvFile(file: string): Record<string, string> {
  let text: string;
  try {
    text = readText(file);
  } catch (error) {
    throw error instanceof CliError ? new CliError(`--env-file ${error.message}`) : error;
  }
  return Object.fromEntries(
    // The mark of UTF-8 would be a part of the first name.
    Object.entries(parseEnv(text.replace(/^\uFEFF/, ''))).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    ),
  );
}

function folder(dir: string): string {
  const full = path.resolve(dir);
  if (!statSync(full, { throwIfNoEntry: false })?.isDirectory())
    throw new CliError(`--workdir ${dir} is not a folder`);
  return full;
}
