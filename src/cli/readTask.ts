import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
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
import { parseEnvFile } from './envFile';
import { CliError, readText, UsageError } from './errors';
import { gitWorkdir } from './gitWorkdir';
import { inlineCommand } from './inlineCommand';
import { priorityOf, wholeNumber } from './numbers';
import { problemLines } from './problemLines';
import type { TaskFlags } from './taskOptions';
import type { Cli } from './withQueue';

/** A task, and where it comes from; neither file nor folders when it was given as a command. */
export interface ReadTask {
  readonly task: Task;
  /** Absolute path. */
  readonly file?: string;
  /** As `SubmitOptions.folders`: the current one first, as for SkyPilot, then the one that the file is in. */
  readonly folders?: readonly string[];
  /** The file as it was named and read. */
  readonly source?: { readonly name: string; readonly text: string };
}

/** The task that a command line means: of a file, or of a command, with or without `--` before it. @throws CliError, UsageError */
export function readTask(cli: Cli, words: readonly string[], flags: TaskFlags): ReadTask {
  const { command } = cli;
  if (command !== undefined) {
    if (words.length > 0) throw new UsageError('give a task file, or a command after --, not both');
    if (command.length === 0) throw new UsageError('no command after --');
    return { task: overridden(cli, commandTask(command.join(' ')), flags) };
  }
  const inline = inlineCommand(words);
  if (inline) {
    // Perhaps a file was meant, and misspelt.
    cli.terminal.note(`command to run: ${inline.join(' ')}`);
    return { task: overridden(cli, commandTask(inline.join(' ')), flags) };
  }
  const [file, second] = words;
  if (file === undefined) throw new UsageError('give a task file, or a command');
  if (second !== undefined)
    throw new UsageError(
      `${file} and ${second}: one task file at a time; to run them as a command: -- ${words.join(' ')}`,
    );
  if (!existsSync(file)) throw new CliError(`there is no file ${file}`);
  const full = path.resolve(file);
  const text = readText(file);
  const { task, problems, taskCount } = parseTask(text);
  for (const line of problemLines(cli.terminal, file, text, problems)) cli.terminal.note(line);
  if (!task) throw new CliError(`${file} has mistakes: nothing was queued`);
  if (taskCount > 1)
    throw new CliError(`${file} holds ${taskCount} tasks, and exec takes one: put each in a file of its own`);
  return {
    task: overridden(cli, task, flags),
    file: full,
    folders: [process.cwd(), path.dirname(full)],
    source: { name: file, text },
  };
}

/** What options ask of machines where there is nothing to run. */
export function readNoTask(cli: Cli, flags: TaskFlags): ReadTask {
  return { task: overridden(cli, EMPTY_TASK, flags) };
}

function overridden(cli: Cli, task: Task, flags: TaskFlags): Task {
  const { terminal } = cli;
  const { name, gpus, cpus, memory } = flags;
  const envs = pairs('--env', flags.env);
  const secrets = pairs('--secret', flags.secret);
  const given = { ...envs, ...secrets };
  const ofFile =
    flags.envFile === undefined ? {} : readEnvFile(cli, { flag: '--env-file', file: flags.envFile, given });
  const ofSecretFile =
    flags.secretFile === undefined
      ? {}
      : readEnvFile(cli, { flag: '--secret-file', file: flags.secretFile, given });
  const git = gitWorkdir(task, flags);
  const isSecret = (key: string): boolean => Object.hasOwn(task.secrets, key);
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
    ...(git === undefined ? {} : { workdir: git }),
    envs: { ...pick(false), ...envs },
    secrets: { ...pick(true), ...ofSecretFile, ...secrets },
  };
  const changed = ofOptions(flags, () => applyOverrides(task, overrides));
  // As in SkyPilot, where nothing is said of it.
  for (const key of Object.keys(envs))
    if (Object.hasOwn(changed.secrets, key))
      terminal.note(
        `--env ${key}: passed over, because ${key} is a secret of the task, which goes first: give it with --secret ${key}=…`,
      );
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

/**
 * The variables of a file. Like SkyPilot it passes over a line that it cannot read, and says so, and refuses a name without
 * `=`, unless an option gives that a value.
 */
function readEnvFile(
  { terminal }: Cli,
  { flag, file, given }: { flag: string; file: string; given: Readonly<Record<string, string>> },
): Record<string, string> {
  let text: string;
  try {
    text = readText(file);
  } catch (error) {
    throw error instanceof CliError ? new CliError(`${flag} ${error.message}`) : error;
  }
  const { entries, unreadable } = parseEnvFile(text, process.env);
  for (const line of unreadable)
    terminal.note(
      `${flag} ${file}:${line}: passed over: it is not NAME=VALUE, or its quote has no end, or text follows that`,
    );
  return Object.fromEntries(
    entries.flatMap(({ name, value, line }) => {
      if (value !== undefined) return [[name, value]];
      if (Object.hasOwn(given, name)) return [];
      throw new CliError(
        `${flag} ${file}:${line}: ${name} has no value: write ${name}=VALUE, ${name}= for an empty one, or give it with --env ${name}=…`,
      );
    }),
  );
}

function folder(dir: string): string {
  const full = path.resolve(dir);
  if (!statSync(full, { throwIfNoEntry: false })?.isDirectory())
    throw new CliError(`--workdir ${dir} is not a folder`);
  return full;
}
