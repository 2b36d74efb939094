import type { Queue } from '../control';
import { VERSION } from '../control/version';
import { settled as settledOf, until as untilOf } from '../control/waiting';
import { closest } from '../task/suggest';
import { CliError, UsageError } from './errors';
import { EXIT } from './exitCodes';
import type { Terminal } from './terminal';

/** What a command works with. */
export interface Cli {
  readonly terminal: Terminal;
  /** What stood after `--`; undefined when there was no `--`. */
  readonly command: readonly string[] | undefined;
}

/** What a command that needs the queue works with. */
export interface QueueCli extends Cli {
  readonly queue: Queue;
  /** Aborted by Ctrl-C, by the end of the terminal, and when nobody reads the output any more. */
  readonly signal: AbortSignal;
}

// A command that was told to end waits so long for others, such as a process with the queue that is suspended.
const LONGEST_END_MS = 10_000;

/** Name of the cluster that is this machine itself. */
export const LOCAL = 'local';

/** Opens the queue for the time of a command, and closes it whatever happens. Resolves to the command's exit code. */
export async function withQueue(cli: Cli, work: (cli: QueueCli) => Promise<number>): Promise<number> {
  // What costs time to load is loaded when it is needed: `cq --version` must not wait for ssh.
  const { openQueue, stateFolder, expandHome } = await import('../control');
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  const interrupted = (): void => {
    if (!opened) {
      cli.terminal.note('\ncq: interrupted, and nothing was done');
      process.exit(EXIT.interrupted);
    }
    // It takes too long for whoever asks twice.
    if (abort.signal.aborted) process.exit(EXIT.notFinished);
    stop();
    setTimeout(() => process.exit(EXIT.notFinished), LONGEST_END_MS).unref();
  };
  let opened = false;
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, interrupted);
  process.stdout.on('error', stop);
  const { terminal } = cli;
  const config = process.env.CLUSTER_QUEUE_SSH_CONFIG ?? '';
  try {
    const { terminalPrompter } = await import('./ask');
    const queue = await openQueue({
      home: stateFolder(),
      version: VERSION,
      ...(config === '' ? {} : { sshConfigFile: expandHome(config) }),
      ...(terminal.canAsk ? { prompter: terminalPrompter } : {}),
    });
    opened = true;
    queue.onTrouble((error) => terminal.note(`cq: ${error.message}`));
    try {
      if (!queue.view(LOCAL)) await queue.defineLocal(LOCAL, undefined);
      return await work({ ...cli, queue, signal: abort.signal });
    } finally {
      await queue.close();
    }
  } finally {
    for (const signal of signals) process.off(signal, interrupted);
    process.stdout.off('error', stop);
  }
}

/** Resolves when `met` holds, or with false when the time is over or the command is to stop. */
export function until({ queue, signal }: QueueCli, met: () => boolean, limitMs?: number): Promise<boolean> {
  return untilOf(queue, met, signal, limitMs);
}

/** Waits until each node of the clusters has answered or is known not to. */
export function settled({ queue, signal }: QueueCli, clusters: readonly string[]): Promise<void> {
  return settledOf(queue, clusters, signal);
}

/** Waits for what became of jobs while no process looked after them. */
export async function caughtUp(cli: QueueCli, clusters: readonly string[]): Promise<void> {
  if (cli.queue.role !== 'host') return;
  const live = clusters.filter((name) => {
    const view = cli.queue.view(name);
    return view && view.pending + view.running > 0;
  });
  await settled(cli, live);
}

/** The nodes of a cluster that cannot be reached, each with the reason. */
export function awayNodes({ queue }: QueueCli, cluster: string): { name: string; message: string }[] {
  return (queue.view(cluster)?.nodes ?? []).flatMap(({ name, link }) =>
    link.state === 'down' ? [{ name, message: link.message }] : [],
  );
}

/** The cluster's name, when there is one of that name. @throws CliError */
export function known({ queue }: QueueCli, name: string): string {
  if (queue.view(name)) return name;
  const names = queue.views().map((view) => view.name);
  if (name === '') throw new UsageError(`the name of the cluster is empty (known: ${names.join(', ')})`);
  // Of two letters every other name is near.
  const near = name.length < 3 ? undefined : closest(name, names);
  const next =
    near === undefined ? `; make one with: cq launch -c ${name} --hosts HOST,…` : `: did you mean ${near}?`;
  throw new CliError(`there is no cluster ${name} (known: ${names.join(', ')})${next}`, EXIT.error);
}
