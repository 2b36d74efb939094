// Options alone: what they mean takes the task parser, which is loaded when a command runs.
import { UsageError } from './errors';
import { Option, type Command } from 'commander';

/** Options that say or change what is run; as SkyPilot's. */
export interface TaskFlags {
  readonly name?: string;
  readonly workdir?: string;
  readonly gpus?: string;
  readonly numNodes?: string;
  readonly cpus?: string;
  readonly memory?: string;
  readonly priority?: string;
  readonly env?: readonly string[];
  readonly envFile?: string;
  readonly secret?: readonly string[];
  readonly secretFile?: string;
  readonly gitUrl?: string;
  readonly gitRef?: string;
}

/** Options for jobs that take too long or fail. */
export interface LimitFlags {
  readonly timeout?: string;
  readonly retries?: string;
}

/** What becomes of `file_mounts`, which exec leaves alone. */
export interface MountFlags {
  readonly syncMounts?: boolean;
}

/** Options that make many jobs of one task. */
export interface SweepFlags {
  readonly repeat?: string;
  readonly sweep?: readonly string[];
}

const once =
  (flag: string) =>
  (value: string, before?: string): string => {
    if (before !== undefined) throw new UsageError(`${flag} is given twice: put all into one file`);
    return value;
  };
const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

/** Adds the options of `TaskFlags` to a command. */
export function withTaskOptions(command: Command): Command {
  return command
    .option('-n, --name <name>', 'name of the job')
    .option('--workdir <dir>', 'folder to run in, instead of the one in the file')
    .addOption(
      new Option('--git-url <url>', 'run in a git repository, instead of in a folder').conflicts('workdir'),
    )
    .addOption(
      new Option('--git-ref <ref>', 'its branch, tag or commit; also of the one in the file').conflicts(
        'workdir',
      ),
    )
    .option('--gpus <spec>', 'GPUs on each node, as V100:4, V100:0.5 or none')
    .option('--num-nodes <n>', 'how many nodes run it at the same time')
    .option('--cpus <n>', 'CPUs on each node')
    .option('--memory <size>', 'memory on each node, in GB or as 512MB')
    .addOption(
      new Option('--env <name=value>', 'a variable; a name alone takes its value from here').argParser(
        collect,
      ),
    )
    .addOption(
      new Option('--env-file <file>', 'variables from a file of NAME=VALUE lines').argParser(
        once('--env-file'),
      ),
    )
    .addOption(new Option('--secret <name=value>', 'as --env, but kept out of the store').argParser(collect))
    .addOption(
      new Option('--secret-file <file>', 'secrets from a file of NAME=VALUE lines').argParser(
        once('--secret-file'),
      ),
    )
    .option('--priority <n>', 'from -1000 to 1000; higher starts first');
}

/** Adds the option of `MountFlags` to a command. */
export function withMountOptions(command: Command): Command {
  return command.option(
    '--sync-mounts',
    'first place those file_mounts anew that have changed since the launch, or were never placed',
  );
}

/** Adds the options of `LimitFlags` to a command. */
export function withLimitOptions(command: Command): Command {
  return command
    .option('--timeout <time>', 'end a try after 90s, 30m, 4h, 1d or 1h30m; a number alone is minutes')
    .option('--retries <n>', 'run it again, up to N times, after an exit code other than 0');
}

/** Adds the options of `SweepFlags` to a command. */
export function withSweepOptions(command: Command): Command {
  return command
    .option('--repeat <n>', 'queue it N times, as one group; CLUSTER_QUEUE_INDEX counts from 1')
    .addOption(
      new Option(
        '--sweep <name=values>',
        'a job for each value of a variable, as lr=1e-3,1e-4 or seed=1..5; several --sweep combine',
      ).argParser(collect),
    );
}
