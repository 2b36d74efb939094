import type { Command } from 'commander';
import type { JobView } from '../../engine';
import { isFinished } from '../../queue';
import { EXIT } from '../exitCodes';
import { withQueue, type Cli } from '../withQueue';

const MOST_JOBS = 50;

type Kind = 'cluster' | 'job' | 'node' | 'host' | 'pool';
type Word = string | number;

/** What may come next: words of this kind, for this command, about this cluster. */
interface Asked {
  readonly kind: Kind;
  readonly command: string;
  readonly cluster: string;
}

/** Options whose values are known, by their names in a command. */
export const VALUES: Readonly<Record<string, Kind>> = { cluster: 'cluster', hosts: 'host', pool: 'pool' };

/** Which jobs a command may be about, where not all. */
const ABOUT: Readonly<Record<string, (view: JobView) => boolean>> = {
  cancel: ({ record }) => !isFinished(record.status),
  hold: ({ record }) => record.status === 'PENDING' && record.held !== true,
  release: ({ record }) => record.status === 'PENDING' && record.held === true,
  move: ({ record }) => record.status === 'PENDING',
};

/**
 * `cq complete WORD…`, which completion scripts call with the words before the cursor: what may come next, one a line, each
 * with a tab and a description; nothing where that is a file or a free word.
 */
export function addComplete(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('complete', { hidden: true })
    .argument('[words...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(async (words: string[]) => {
      const asked = cli.command === undefined ? askedFor(program, words) : undefined;
      for (const [word, description] of asked ? await known(cli, asked) : [])
        cli.terminal.print(`${word}\t${description}`);
      end(EXIT.ok);
    });
}

/** The words of a kind, each with a description. */
async function known(cli: Cli, { kind, command, cluster }: Asked): Promise<(readonly [Word, string])[]> {
  if (kind === 'host') {
    const { configuredHosts } = await import('../../transport/sshConfigFile');
    const hosts = await configuredHosts(process.env.CLUSTER_QUEUE_SSH_CONFIG);
    return hosts.map((host) => [host, 'ssh config']);
  }
  if (kind === 'pool') {
    const [{ readPools }, { poolsFile }] = await Promise.all([
      import('../../control/pools'),
      import('../../control/poolsFile'),
    ]);
    // A shell has no place for what is wrong in the file.
    const { pools } = await readPools(poolsFile()).catch(() => ({ pools: [] }));
    return pools.map(({ name, hosts }) => [name, `${hosts.length} hosts`]);
  }
  let found: (readonly [Word, string])[] = [];
  await withQueue(cli, ({ queue }) => {
    const view = queue.view(cluster);
    if (kind === 'cluster')
      found = queue
        .views()
        .map(({ name, running, pending }) => [name, `${running} running, ${pending} waiting`]);
    else if (kind === 'node') found = (view?.nodes ?? []).map(({ name }) => [name, 'node']);
    else if (view)
      found = queue
        .jobs(cluster, MOST_JOBS)
        .filter(ABOUT[command] ?? (() => true))
        .map(({ record: { id, name, status } }) => [id, `${name} ${status}`]);
    return Promise.resolve(EXIT.ok);
  });
  return found;
}

/** What kind of word comes after these, if it is one that the queue knows. */
function askedFor(program: Command, [name = '', ...words]: readonly string[]): Asked | undefined {
  const command = program.commands.find((one) => one.name() === name);
  if (!command) return undefined;
  const operands: string[] = [];
  let kind: Kind | undefined;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? '';
    const option = command.options.find(({ short, long }) => word === short || word === long);
    if (!word.startsWith('-')) operands.push(word);
    // Its value comes next: here, or where the cursor is.
    else if (option && !option.isBoolean() && ++i === words.length) {
      kind = VALUES[option.attributeName()];
      if (!kind) return undefined;
    }
  }
  const taken = command.registeredArguments;
  const argument = taken[operands.length] ?? (taken.at(-1)?.variadic === true ? taken.at(-1) : undefined);
  kind ??= /^(cluster|job|node|host)(_id)?s?$/.exec(argument?.name() ?? '')?.[1] as Kind | undefined;
  return kind && { kind, command: name, cluster: operands[0] ?? '' };
}
