import path from 'node:path';
import type { Command } from 'commander';
import { poolsFile } from '../../control/poolsFile';
import type { Problem } from '../../task';
import { CliError, readText } from '../errors';
import { EXIT } from '../exitCodes';
import { Positions } from '../problemLines';
import type { Terminal } from '../terminal';
import type { Cli } from '../withQueue';

/** What `cq validate --json` prints of a file; lines and columns from 1, ends exclusive. */
interface FileJson {
  readonly file: string;
  readonly problems: readonly {
    readonly line: number;
    readonly column: number;
    readonly endLine: number;
    readonly endColumn: number;
    readonly severity: Problem['severity'];
    readonly code: string;
    readonly message: string;
  }[];
}

/** SkyPilot's name for the file with node pools. */
const POOLS_FILE = /(?:^|[\\/])ssh_node_pools\.ya?ml$/;

/** `cq validate`: checks task files and node pools, without a cluster. */
export function addValidate(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('validate')
    .description('check task files, and SkyPilot’s ssh_node_pools.yaml; needs no cluster')
    .argument('<files...>')
    .option(
      '--json',
      'print [{file, problems: [{line, column, endLine, endColumn, severity, code, message}]}]',
    )
    .addHelpText('after', '\nExit code: 0 when no file has an error, else 1.')
    .action(async (files: string[], flags: { json?: boolean }) => {
      const [{ parseTask, shellProblems }, { parsePools }, { pathProblems }, { parse }] = await Promise.all([
        import('../../task'),
        import('../../cluster'),
        import('../paths'),
        import('unbash'),
      ]);
      // As the editor marks them, but for GPUs, which only clusters know.
      const problemsOf = async (file: string, text: string): Promise<readonly Problem[]> =>
        isPools(file)
          ? parsePools(text).problems
          : [
              ...parseTask(text).problems,
              ...shellProblems(text, parse),
              ...(await pathProblems(text, file)),
            ].sort((a, b) => a.start - b.start);
      const checked: FileJson[] = [];
      let failed = false;
      for (const file of files) {
        const text = read(file, cli.terminal);
        if (text === undefined) {
          failed = true;
          continue;
        }
        checked.push(checkedFile(file, text, await problemsOf(file, text)));
      }
      if (flags.json === true) cli.terminal.print(JSON.stringify(checked));
      else for (const one of checked) say(cli.terminal, one);
      const errors = checked.some(({ problems }) => problems.some(({ severity }) => severity === 'error'));
      end(failed || errors ? EXIT.error : EXIT.ok);
    });
}

/** True for SkyPilot's name, and for the file that is used instead of that. */
function isPools(file: string): boolean {
  return POOLS_FILE.test(file) || path.resolve(file) === poolsFile();
}

function read(file: string, terminal: Terminal): string | undefined {
  try {
    return readText(file);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    terminal.note(`cq: ${error.message}`);
    return undefined;
  }
}

function checkedFile(file: string, text: string, problems: readonly Problem[]): FileJson {
  const positions = new Positions(text);
  return {
    file,
    problems: problems.map(({ start, end, severity, code, message }) => {
      const [from, to] = [positions.at(start), positions.at(end)];
      return {
        line: from.line,
        column: from.column,
        endLine: to.line,
        endColumn: to.column,
        severity,
        code,
        message,
      };
    }),
  };
}

function say(terminal: Terminal, { file, problems }: FileJson): void {
  if (problems.length === 0) terminal.print(`${file}: ${terminal.paint('good', 'good')}`);
  for (const { line, column, severity, message, code } of problems) {
    const tone = severity === 'error' ? 'bad' : severity === 'warning' ? 'odd' : 'dim';
    terminal.print(`${file}:${line}:${column}: ${terminal.paint(severity, tone)}: ${message} (${code})`);
  }
}
