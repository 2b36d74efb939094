import { Command, CommanderError } from 'commander';
import { VERSION } from '../control/version';
import { addAtBoot } from './commands/atBoot';
import { addCancel } from './commands/cancel';
import { addCheck } from './commands/check';
import { addComplete } from './commands/complete';
import { addCompletion } from './commands/completion';
import { addDown } from './commands/down';
import { addEngine } from './commands/engine';
import { addExec } from './commands/exec';
import { addFetch } from './commands/fetch';
import { addLaunch } from './commands/launch';
import { addLogs } from './commands/logs';
import { addNodes } from './commands/nodes';
import { addOrder } from './commands/order';
import { addQueue } from './commands/queue';
import { addStatus } from './commands/status';
import { addValidate } from './commands/validate';
import { CliError, UsageError } from './errors';
import { EXIT } from './exitCodes';
import { Terminal } from './terminal';
import { usageWords } from './usageWords';
import type { Cli } from './withQueue';

const ENVIRONMENT = `
Environment:
  CLUSTER_QUEUE_HOME        the state folder; who shares it shares the queue
  CLUSTER_QUEUE_SSH_CONFIG  the ssh config file, as ssh -F
  CLUSTER_QUEUE_NODE_POOLS  the node pools file, not ~/.sky/ssh_node_pools.yaml
  NO_COLOR                  no colours`;

/** Commands with a command of the user's; and the one that completes them. */
const TAKE_COMMANDS: ReadonlySet<string> = new Set(['exec', 'launch', 'complete']);

// A description beside a long option still has so many columns on a terminal of sixty.
const NARROWEST = 24;

/** Runs a command line (without `node cq`). Resolves to the exit code; never rejects. */
export async function run(argv: readonly string[]): Promise<number> {
  const [own, command] = split(argv);
  const terminal = new Terminal();
  let code: number = EXIT.ok;
  const program = build({ terminal, command }, own, (ended) => (code = ended));
  try {
    await program.parseAsync([...own], { from: 'user' });
    // A write that failed is told a moment after it.
    await new Promise(setImmediate);
    return terminal.failed && code === EXIT.ok ? EXIT.error : code;
  } catch (error) {
    return explain(error, terminal, own);
  }
}

/** A command line without the command that stands after `--`, which is taken as it is: its options are not ours. */
function split(argv: readonly string[]): [own: readonly string[], command: readonly string[] | undefined] {
  const dashes = argv.indexOf('--');
  const own = argv.slice(0, dashes);
  // Elsewhere what follows is only no option.
  if (dashes < 0 || !TAKE_COMMANDS.has(commandOf(own) ?? '')) return [argv, undefined];
  return [own, argv.slice(dashes + 1)];
}

/** All commands, for a command line of `words`. `end` is told a command's exit code. */
function build(cli: Cli, words: readonly string[], end: (code: number) => void): Command {
  const program = new Command('cq')
    .description('A job queue for the GPU machines you reach over SSH. Task files are SkyPilot’s.')
    .version(VERSION, '-V, --version')
    .exitOverride()
    // Or what stands after `--` would be an option of a command after all.
    .enablePositionalOptions()
    .configureOutput({ outputError: (refusal, write) => write(usageWords(refusal, commandOf(words))) })
    .configureHelp({ minWidthToWrap: NARROWEST, subcommandTerm: (command) => command.name() })
    .showSuggestionAfterError()
    .addHelpText('after', ENVIRONMENT);
  for (const add of [
    addLaunch,
    addExec,
    addQueue,
    addLogs,
    addFetch,
    addCancel,
    addOrder,
    addStatus,
    addDown,
    addNodes,
    addAtBoot,
    addCheck,
    addValidate,
    addEngine,
    addCompletion,
    addComplete,
  ])
    add(program, cli, end);
  return program;
}

/** The command that a command line is of. */
function commandOf(words: readonly string[]): string | undefined {
  return words.find((word) => !word.startsWith('-'));
}

/** What went wrong, in words on stderr, as the exit code. */
function explain(error: unknown, terminal: Terminal, words: readonly string[]): number {
  // Help and version end this way too; commander has printed everything by now.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  terminal.note(`cq: ${error instanceof Error ? error.message : String(error)}`);
  if (error instanceof UsageError) terminal.note(`(cq ${commandOf(words) ?? ''} --help says how it is used)`);
  return error instanceof CliError ? error.exitCode : EXIT.error;
}
