import os from 'node:os';
import { userName } from '../../control/home';
import { Option, type Command } from 'commander';
import type { ClusterDefinition, NodeDefinition } from '../../cluster';
import type { JobRecord } from '../../queue';
import { CliError, UsageError } from '../errors';
import { EXIT } from '../exitCodes';
import { readTask, withTaskOptions } from '../readTask';
import { attend, type RunFlags } from '../runJob';
import { withQueue, type Cli, type QueueCli } from '../withQueue';
import { EXIT_HELP } from './exec';

interface LaunchFlags extends RunFlags {
  readonly cluster: string;
  readonly hosts?: string;
  readonly local?: boolean;
  readonly virtual?: string;
}

/** `cq launch`: makes a cluster of machines, and queues its first job. */
export function addLaunch(program: Command, cli: Cli, end: (code: number) => void): void {
  withTaskOptions(program.command('launch'))
    .description('make a cluster of machines you reach by ssh, and queue a first job on it')
    .usage(
      '-c CLUSTER --hosts HOST,… [FILE] [options]\n       cq launch -c CLUSTER --hosts HOST,… [options] -- COMMAND…',
    )
    .argument('[file...]')
    .requiredOption('-c, --cluster <name>', 'name of the cluster; one that is there is used as it is')
    .addOption(
      new Option('--hosts <list>', 'its machines as you give them to ssh, with commas between').conflicts(
        'local',
      ),
    )
    .option('--local', 'this machine itself')
    .option('--virtual <spec>', 'with --local: GPUs that it is said to have where none are found, as V100:4')
    .option('-d, --detach', 'do not follow the log')
    .option('--json', 'print the job as JSON: at its end, or with -d at once')
    .addHelpText('after', EXIT_HELP)
    .action(async (words: string[], flags: LaunchFlags) => {
      if (flags.virtual !== undefined && flags.local !== true)
        throw new UsageError('--virtual goes with --local: on other machines GPUs are found');
      const virtual = flags.virtual === undefined ? undefined : virtualOf(flags.virtual);
      const given = words.length > 0 || cli.command !== undefined;
      const { task, file } = given
        ? readTask(cli, words, flags)
        : { task: (await import('../../task')).EMPTY_TASK };
      end(
        await withQueue(cli, async (open) => {
          const { launch } = await import('../../control');
          const launched = await launch(
            open.queue,
            {
              name: flags.cluster,
              nodes: await nodesFor(open, flags, virtual),
              task,
              user: userName(),
              ...(file === undefined ? {} : { file }),
            },
            { say: (words) => cli.terminal.note(words), signal: open.signal },
          );
          return followAll(open, [launched.setup, launched.run], flags);
        }),
      );
    });
}

/** The candidates that the options name; none when the cluster is there and they agree. */
async function nodesFor(
  { queue }: QueueCli,
  flags: LaunchFlags,
  virtual: NodeDefinition['virtual'],
): Promise<readonly NodeDefinition[]> {
  const { nodesOf } = await import('../../control');
  const name = flags.cluster;
  const hosts = (flags.hosts ?? '').split(',').map((host) => host.trim());
  const nodes =
    flags.local === true
      ? [{ name: os.hostname(), ...(virtual === undefined ? {} : { virtual }) }]
      : nodesOf(hosts.filter((host) => host !== ''));
  if (!queue.view(name)) {
    if (nodes.length === 0)
      throw new UsageError(`say which machines ${name} is made of: --hosts HOST,… or --local`);
    return nodes;
  }
  const there = destinations(queue.definition(name));
  if (nodes.length > 0 && destinations({ name, nodes }) !== there)
    throw new CliError(`there is a cluster ${name} already, of ${there}; end it with: cq down ${name}`);
  return [];
}

/** Follows one job after the other, as long as they succeed. */
async function followAll(
  cli: QueueCli,
  jobs: readonly (JobRecord | undefined)[],
  flags: LaunchFlags,
): Promise<number> {
  let code: number = EXIT.ok;
  for (const job of jobs) {
    if (job && code === EXIT.ok) code = await attend(cli, job, flags);
  }
  return code;
}

function destinations({ nodes }: ClusterDefinition): string {
  return nodes.map(({ destination, name }) => destination ?? name).join(',');
}

function virtualOf(spec: string): { name: string; count: number } {
  const match = /^([A-Za-z0-9][\w.-]*):([1-9]\d{0,2})$/.exec(spec);
  if (match?.[1] === undefined)
    throw new UsageError(`--virtual ${spec}: write a name and a number, as V100:4`);
  return { name: match[1], count: Number(match[2]) };
}
