import os from 'node:os';
import { userName } from '../../control/home';
import { Option, type Command } from 'commander';
import type { NodeDefinition } from '../../cluster';
import type { Launched } from '../../control';
import type { JobRecord } from '../../queue';
import { CliError, UsageError } from '../errors';
import { EXIT } from '../exitCodes';
import { launchAgain } from '../nodeWords';
import { attend, type RunFlags } from '../runJob';
import { withLimitOptions, withTaskOptions } from '../taskOptions';
import { LOCAL, withQueue, type Cli, type QueueCli } from '../withQueue';
import { EXIT_HELP } from './exec';

interface LaunchFlags extends RunFlags {
  readonly cluster: string;
  readonly hosts?: string;
  readonly pool?: string;
  readonly local?: boolean;
  readonly virtual?: string;
}

/** `cq launch`: makes a cluster of machines, and queues its first job. */
export function addLaunch(program: Command, cli: Cli, end: (code: number) => void): void {
  withLimitOptions(withTaskOptions(program.command('launch')))
    .description('make a cluster of machines you reach by ssh, and queue a first job on it')
    .usage(
      '-c CLUSTER --hosts HOST,… | --pool POOL [FILE] [options]\n       cq launch -c CLUSTER --hosts HOST,… [options] -- COMMAND…',
    )
    .argument('[file...]')
    .requiredOption('-c, --cluster <name>', 'name of the cluster; one that is there is used as it is')
    .addOption(
      new Option(
        '--hosts <list>',
        'machines to choose from, as you give them to ssh, with commas between',
      ).conflicts(['local', 'pool']),
    )
    .addOption(
      new Option(
        '--pool <name>',
        'machines to choose from, by their pool in ~/.sky/ssh_node_pools.yaml',
      ).conflicts('local'),
    )
    .option('--local', 'this machine itself')
    .option('--virtual <spec>', 'with --local: GPUs that it is said to have where none are found, as V100:4')
    .option('-d, --detach', 'do not follow the log')
    .option('-y, --yes', 'as for sky launch; it asks nothing about the cluster anyway')
    .option('--json', 'print the job as JSON: at its end, or with -d at once')
    .addHelpText(
      'after',
      `\nThe first num_nodes of them that satisfy the task's resources are taken; without\na task, and without --num-nodes, all that can be reached.\n${EXIT_HELP} With -d, 0 when it is queued.`,
    )
    .action(async (words: string[], flags: LaunchFlags) => {
      if (flags.virtual !== undefined && flags.local !== true)
        throw new UsageError('--virtual goes with --local: on other machines GPUs are found');
      const [{ limitsOf }, { readTask, readNoTask }] = await Promise.all([
        import('../limits'),
        import('../readTask'),
      ]);
      const virtual = flags.virtual === undefined ? undefined : await virtualOf(flags.virtual);
      const limits = limitsOf(flags);
      const given = words.length > 0 || cli.command !== undefined;
      const { task, file } = given ? readTask(cli, words, flags) : readNoTask(cli, flags);
      // Hosts alone are a cluster of all of them: nothing says how many.
      const all = !given && flags.numNodes === undefined;
      end(
        await withQueue(cli, async (open) => {
          const { launch, passedOverWords } = await import('../../control');
          const nodes = await nodesFor(open, flags, virtual);
          const launched = await launch(
            open.queue,
            {
              name: flags.cluster,
              nodes,
              task,
              all,
              user: userName(),
              limits,
              ...(file === undefined ? {} : { file }),
            },
            { say: (words) => cli.terminal.note(words), signal: open.signal },
          ).catch((error: unknown) => {
            throw withNextStep(error, open, flags.cluster, file);
          });
          for (const line of passedOverWords(launched.passedOver)) cli.terminal.note(line);
          const code = await followAll(open, [launched.setup, launched.run], flags);
          noteFailedSetup(open, launched, file);
          return code;
        }),
      );
    });
}

/** The error of a launch, with what may be done about the cluster that it has left. */
function withNextStep(error: unknown, { queue }: QueueCli, cluster: string, file?: string): unknown {
  if (!queue.view(cluster)?.launch) return error;
  const words = error instanceof Error ? error.message : String(error);
  return new CliError(
    `${words}\n  to go on with it: ${launchAgain(cluster, file)}\n  to give it up: cq down ${cluster}`,
  );
}

/** The candidates that the options name; none when the cluster is there and they agree. */
async function nodesFor(
  { queue }: QueueCli,
  flags: LaunchFlags,
  virtual: NodeDefinition['virtual'],
): Promise<readonly NodeDefinition[]> {
  const { nodesOf, poolNodes, poolsFile } = await import('../../control');
  const name = flags.cluster;
  const hosts = (flags.hosts ?? '').split(/[\s,]+/);
  const nodes =
    flags.local === true
      ? [{ name: os.hostname(), ...(virtual === undefined ? {} : { virtual }) }]
      : flags.pool === undefined
        ? nodesOf(hosts.filter((host) => host !== ''))
        : await poolNodes(poolsFile(), flags.pool);
  if (!queue.view(name)) {
    if (nodes.length === 0)
      throw new UsageError(`say which machines ${name} is made of: --hosts HOST,…, --pool POOL or --local`);
    return nodes;
  }
  // It was never made: now perhaps of other machines.
  if (queue.view(name)?.launch?.name === 'connect') return nodes;
  // The same command line once more: the cluster has those of its candidates that were taken.
  const given = new Set(nodes.map(destinationOf));
  const there = queue.definition(name).nodes.map(destinationOf);
  if (nodes.length > 0 && there.some((destination) => !given.has(destination))) {
    if (name === LOCAL)
      throw new CliError(`${name} is this machine itself: give a cluster of others another name`);
    throw new CliError(
      `there is a cluster ${name} already, of ${there.join(',')}; end it with: cq down ${name}`,
    );
  }
  if (virtual !== undefined) await queue.defineLocal(name, virtual);
  return [];
}

/** Says what a setup that has failed kept from running, and how to go on. */
function noteFailedSetup({ queue, terminal }: QueueCli, { setup, run }: Launched, file?: string): void {
  if (!setup || queue.job(setup.cluster, setup.id).record.status !== 'FAILED_SETUP') return;
  const { cluster, id } = setup;
  terminal.note(
    `${run ? 'the task was not run: mend' : 'mend'} the setup and launch again: ${launchAgain(cluster, file)}; its log: cq logs ${cluster} ${id}`,
  );
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

function destinationOf({ destination, name }: NodeDefinition): string {
  return destination ?? name;
}

async function virtualOf(spec: string): Promise<NonNullable<NodeDefinition['virtual']>> {
  const { parseVirtualGpus } = await import('../../cluster');
  const virtual = parseVirtualGpus(spec);
  if (!virtual) throw new UsageError(`--virtual ${spec}: write a name and a number, as V100:4`);
  return virtual;
}
