import { userName } from '../../control/home';
import { Option, type Command } from 'commander';
import type { NodeDefinition } from '../../cluster';
import type { Launched } from '../../control';
import type { JobRecord } from '../../queue';
import type { Task } from '../../task';
import { CliError, UsageError } from '../errors';
import { EXIT } from '../exitCodes';
import { infraOf, nodesFor, type HostFlags } from '../launchHosts';
import type { Plan } from '../launchPlan';
import { launchAgain } from '../nodeWords';
import { attend, tellLacks, type RunFlags } from '../runJob';
import { tellScripts } from '../scripts';
import { withLimitOptions, withTaskOptions } from '../taskOptions';
import { withQueue, type Cli, type QueueCli } from '../withQueue';
import { EXIT_HELP } from './exec';

interface LaunchFlags extends RunFlags, HostFlags {
  readonly virtual?: string;
  readonly setup: boolean;
  readonly dryrun?: boolean;
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
    .option(
      '--infra <infra>',
      'ssh/POOL: the same, where neither --hosts nor --pool is given; as in the file',
    )
    .option('--local', 'this machine itself')
    .option('--virtual <spec>', 'with --local: GPUs that it is said to have where none are found, as V100:4')
    .option('-d, --detach', 'do not follow the log (--detach-run too)')
    .addOption(new Option('--detach-run').implies({ detach: true }).hideHelp())
    .option('-y, --yes', 'as for sky launch; it asks nothing about the cluster anyway')
    .option('--no-setup', 'leave out the setup of the task')
    .addOption(new Option('--dryrun', 'say what would be done, and do nothing of it').conflicts('json'))
    .option(
      '--json',
      'print the job as JSON, after its setup on a line of its own: at its end, or with -d at once',
    )
    .addHelpText(
      'after',
      `\nThe first num_nodes of them that satisfy the task's resources are taken; without\na task, and without --num-nodes, all that can be reached.\n${EXIT_HELP} With -d, 0 when it is queued.`,
    )
    .action(async (words: string[], flags: LaunchFlags, command: Command) => {
      if (flags.virtual !== undefined && flags.local !== true)
        throw new UsageError('--virtual goes with --local: on other machines GPUs are found');
      const { CLUSTER_NAME_RULE, isClusterName } = await import('../../cluster');
      if (!isClusterName(flags.cluster))
        throw new CliError(`"${flags.cluster}" cannot name a cluster: ${CLUSTER_NAME_RULE}`);
      const [{ limitsOf }, { readTask, readNoTask }] = await Promise.all([
        import('../limits'),
        import('../readTask'),
      ]);
      const virtual = flags.virtual === undefined ? undefined : await virtualOf(flags.virtual);
      const limits = limitsOf(flags);
      const given = words.length > 0 || cli.command !== undefined;
      const infra = infraOf(flags.infra);
      const read = given ? readTask(cli, words, flags) : readNoTask(cli, flags);
      const { task: whole, source: _source, ...origin } = read;
      const { applyOverrides } = await import('../../task');
      const task = applyOverrides(flags.setup ? whole : withoutSetup(whole), infra);
      const { requireSources } = await import('../../control/mounts');
      const mounts = requireSources(task, origin);
      await tellScripts(cli, read);
      // Hosts alone are a cluster of all of them: nothing says how many.
      const all = !given && flags.numNodes === undefined;
      const again = `${launchAgain(flags.cluster, origin.file)}${hasTaskOptions(command) ? ', with the same options' : ''}`;
      end(
        await withQueue(cli, async (open) => {
          const { launch, passedOverWords } = await import('../../control');
          // A cluster of this machine would be given its GPUs by that.
          const nodes = await nodesFor(open, flags, task, flags.dryrun === true ? undefined : virtual);
          if (flags.dryrun === true) return tell(open, { name: flags.cluster, nodes, task, all, mounts });
          const before = open.queue.view(flags.cluster);
          const wasUp = before !== undefined && before.launch === undefined;
          const launched = await launch(
            open.queue,
            {
              name: flags.cluster,
              nodes,
              task,
              all,
              user: userName(),
              limits,
              ...origin,
            },
            { say: (words) => cli.terminal.note(words), signal: open.signal },
          ).catch((error: unknown) => {
            throw withNextStep(error, open, { name: flags.cluster, wasUp }, again);
          });
          for (const line of passedOverWords(launched.passedOver)) cli.terminal.note(line);
          // Both have the same workdir.
          tellLacks(open, launched.setup ?? launched.run);
          const code = await followAll(open, [launched.setup, launched.run], flags);
          noteFailedSetup(open, launched, again);
          return code;
        }),
      );
    });
}

// Options of a launch that are over with it, or that the cluster remembers.
const NOT_OF_TASK: ReadonlySet<string> = new Set([
  'cluster',
  'hosts',
  'pool',
  'local',
  'virtual',
  'detach',
  'detachRun',
  'yes',
  'json',
]);

/** Whether options say more of the task than its file: without them it would be another. */
function hasTaskOptions(command: Command): boolean {
  return command.options.some((option) => {
    const name = option.attributeName();
    return command.getOptionValueSource(name) === 'cli' && !NOT_OF_TASK.has(name);
  });
}

function withoutSetup(task: Task): Task {
  const { setup, ...rest } = task;
  return setup === undefined ? task : rest;
}

/** Says what a launch would do. */
async function tell(cli: QueueCli, plan: Plan): Promise<number> {
  const { planLines } = await import('../launchPlan');
  for (const line of planLines(cli, plan)) cli.terminal.print(line);
  return EXIT.ok;
}

/** The error of a launch, with what may be done about the cluster that it has left. */
function withNextStep(
  error: unknown,
  { queue }: QueueCli,
  { name, wasUp }: { readonly name: string; readonly wasUp: boolean },
  again: string,
): unknown {
  if (!queue.view(name)?.launch) return error;
  const words = error instanceof Error ? error.message : String(error);
  const goOn = `${words}\n  to go on with it: ${again}`;
  // What this launch has not made is not its to end, with everybody's jobs.
  return new CliError(wasUp ? goOn : `${goOn}\n  to take it down: cq down ${name}`);
}

/** Says what a setup that has failed kept from running, and how to go on. */
function noteFailedSetup({ queue, terminal }: QueueCli, { setup, run }: Launched, again: string): void {
  if (!setup || queue.job(setup.cluster, setup.id).record.status !== 'FAILED_SETUP') return;
  const { cluster, id } = setup;
  terminal.note(
    `${run ? 'the task was not run: mend' : 'mend'} the setup and launch again: ${again}; its log: cq logs ${cluster} ${id}`,
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

async function virtualOf(spec: string): Promise<NonNullable<NodeDefinition['virtual']>> {
  const { parseVirtualGpus } = await import('../../cluster');
  const virtual = parseVirtualGpus(spec);
  if (!virtual) throw new UsageError(`--virtual ${spec}: write a name and a number, as V100:4`);
  return virtual;
}
