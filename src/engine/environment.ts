import { AMD_LEASE, visibleDevice, type ClusterDefinition, type NodeInventory } from '../cluster';
import type { JobRecord, JobSpec, Placement } from '../queue';
import { gpusPerNode } from './demand';

/** Any text as one word of bash. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * `sky-2023-07-06-21-18-31-563597_mycluster_1`, as SkyPilot's SKYPILOT_TASK_ID: when, where, which. The two jobs of a launch have
 * one, as there, where they are one job: that of the setup, which is numbered first.
 */
export function taskId(job: JobRecord): string {
  if (job.spec.taskId !== undefined) return job.spec.taskId;
  const iso = new Date(job.submittedAt).toISOString();
  const stamp = `${iso.slice(0, 10)}-${iso.slice(11, 19).replaceAll(':', '-')}-${iso.slice(20, 23)}000`;
  return `sky-${stamp}_${job.cluster}_${job.id}`;
}

/**
 * The bash text that one rank sources before its `run`: the task's envs and secrets, then SkyPilot's variables (which
 * win, as there; see docs/nodes.md), the devices, and the working directory.
 */
export function rankEnvironment(
  job: JobRecord,
  placement: Placement,
  rank: number,
  cluster: ClusterDefinition,
  secrets: Readonly<Record<string, string>>,
): string {
  const mine = placement.ranks[rank];
  if (!mine) throw new Error(`job ${job.id} has no rank ${rank}`);
  const ips = placement.ranks.map(
    ({ node }) => cluster.nodes.find(({ name }) => name === node)?.inventory?.ip ?? node,
  );
  const demand = job.demand.alternatives[placement.alternative];
  const inventory = cluster.nodes.find(({ name }) => name === mine.node)?.inventory;
  const setup = job.spec.phase === 'setup';
  const named = setup ? 'SKYPILOT_SETUP_' : 'SKYPILOT_';
  return script(job, [
    ...taskVariables(job, secrets, { named, rank, ranks: placement.ranks.length }),
    [`${named}NODE_IPS`, ips.join('\n')],
    [`${named}NUM_GPUS_PER_NODE`, String(job.spec.taskGpus ?? gpusPerNode(demand))],
    // A setup sees the machine as it is, with all its GPUs.
    ...(setup ? [] : visibleDevices(mine.devices, inventory)),
  ]);
}

/** What confines a process to its devices. `claim` in sh/walk.sh does the same for a staged job. */
function visibleDevices(
  indices: readonly number[],
  inventory: NodeInventory | undefined,
): [string, string][] {
  const devices = inventory?.devices ?? [];
  const visible = indices
    .map((index) =>
      visibleDevice(devices.find((device) => device.index === index) ?? { index, lease: 'gone' }),
    )
    .join(',');
  const amd = devices.some(({ lease }) => lease.startsWith(AMD_LEASE));
  return [
    ['CUDA_VISIBLE_DEVICES', visible],
    ['CQ_DEVICES', visible],
    // HIP takes an empty value for none. Never ROCR_VISIBLE_DEVICES as well: HIP's numbers would count what that left.
    ...(amd ? ([['HIP_VISIBLE_DEVICES', visible || '-1']] as [string, string][]) : []),
  ];
}

/** The same for a job that is staged: what depends on the node and its devices is added there (`claim` in sh/walk.sh). */
export function stagedEnvironment(job: JobRecord, secrets: Readonly<Record<string, string>>): string {
  return script(job, taskVariables(job, secrets, { named: 'SKYPILOT_', rank: 0, ranks: 1 }));
}

function taskVariables(
  job: JobRecord,
  secrets: Readonly<Record<string, string>>,
  { named, rank, ranks }: { named: string; rank: number; ranks: number },
): [string, string][] {
  return [
    ...Object.entries(job.spec.envs),
    ...Object.entries(secrets),
    [`${named}NODE_RANK`, String(rank)],
    ['SKYPILOT_NUM_NODES', String(ranks)],
    ['SKYPILOT_TASK_ID', taskId(job)],
    ['SKYPILOT_INTERNAL_JOB_ID', String(job.id)],
    [
      'SKYPILOT_CLUSTER_INFO',
      JSON.stringify({ cluster_name: job.cluster, cloud: 'ssh', region: null, zone: null }),
    ],
    ['SKYPILOT_USER', job.user],
    ['PYTHONUNBUFFERED', '1'],
    ['CUDA_DEVICE_ORDER', 'PCI_BUS_ID'],
  ];
}

/**
 * `conda activate` also where a conda is on the PATH and `~/.bashrc` does not know it: SkyPilot sources its conda.sh before each
 * task. To ask conda where that is takes half a second, so only whoever calls it does.
 */
const CONDA =
  'declare -F conda >/dev/null || ! type -P conda >/dev/null || conda() { unset -f conda; . "$(command conda info --base)/etc/profile.d/conda.sh"; conda "$@"; }';

function script(job: JobRecord, variables: readonly [string, string][]): string {
  return [
    ...variables.map(([name, value]) => `export ${name}=${quote(value)}`),
    // After ~/.bashrc, which may have put other folders first.
    'export PATH="$CQ_BIN:$PATH"',
    CONDA,
    ...(job.spec.workdir === undefined
      ? ['cd "$HOME"']
      : ['cd "$CQ_JOB_DIR/workdir" || exit 1', ...carried(job.spec)]),
    '',
  ].join('\n');
}

/** Brings what belongs into the workdir and is no file of it: see `carry` in sh/files.sh. */
function carried({ setup, mounts = [] }: JobSpec): string[] {
  if (!setup && mounts.length === 0) return [];
  const words = [setup?.uuid ?? '-', setup?.same === true ? 'same' : 'other', ...mounts.map(quote)];
  return ['CQ_AGENT=${CQ_BIN##*:}', `sh "\${CQ_AGENT%.bin}.sh" carry ${words.join(' ')}`, 'unset CQ_AGENT'];
}
