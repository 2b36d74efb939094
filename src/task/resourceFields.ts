import { diskTierFlaw, infraFlaw, localDiskFlaw, portsFlaw, CLOUDS, DISK_TIERS } from './cloudValues';
import { parseCpus, parseMemory } from './quantities';
import { resourceRules } from './resourceRules';
import {
  ACCELERATORS,
  AUTOSTOP,
  JOB_RECOVERY,
  ONE_ACCELERATOR,
  plain,
  SIZE_SHAPE,
  VOLUMES,
} from './resourceShapes';
import { INTERNAL, type Field, type FieldTable, type ObjectShape, type Shape } from './shape';

const ACCELERATORS_DOC =
  'GPUs (or other accelerators) that **each node** gives to the task: `V100:4`, `V100` (one), `V100:0.5` (half of a ' +
  'shared one), a MIG slice by its profile (`A100-MIG-3g.20gb`, or `3g.20gb`), or by memory `16GB+`. A list is tried in its order; a mapping or set names alternatives of equal worth. ' +
  'Case does not matter.';

function accelerators(shape: Shape): Pick<FieldTable, 'accelerators' | 'gpus'> {
  const field: Field = {
    shape,
    doc: ACCELERATORS_DOC,
    example: 'accelerators: V100:4',
    effect: 'own',
    anchor: 'resources-accelerators',
  };
  return {
    accelerators: field,
    gpus: {
      ...field,
      doc: `Another name for \`accelerators\`. ${ACCELERATORS_DOC}`,
      example: 'gpus: V100:4',
      aliasOf: 'accelerators',
    },
  };
}

function cloud(shape: Shape, doc: string, example: string, more?: Partial<Field>): Field {
  const name = example.slice(0, Math.max(0, example.search(/:/)));
  return {
    shape,
    doc,
    example,
    effect: 'none-on-ssh',
    anchor: `resources-${name.replaceAll('_', '-')}`,
    ...more,
  };
}

const TEXT = { type: 'string' } as const;
const NUMBER_OR_TEXT = [{ type: 'string' }, { type: 'number' }] as const;

const SINGLE: FieldTable = {
  infra: {
    shape: { type: 'string', check: infraFlaw },
    doc: 'Where to run: `ssh` or `ssh/POOL` for one of your node pools. Clouds (`aws/us-east-1`, `k8s/context`) are for SkyPilot itself.',
    example: 'infra: ssh/my-cluster',
    effect: 'own',
    values: ['ssh', 'ssh/', 'k8s', 'aws', 'gcp', 'azure'],
    anchor: 'resources-infra',
  },
  cpus: {
    shape: {
      type: 'union',
      expected: 'a number of CPUs, such as `4` or `4+`',
      of: NUMBER_OR_TEXT,
      check: (text) => parseCpus(text).flaw,
    },
    doc: 'Logical CPUs that each node gives to the task, `4` or `4+`. Without it a job takes 0.5.',
    example: 'cpus: 4+',
    effect: 'own',
    values: ['2', '4+', '8+', '16+'],
    anchor: 'resources-cpus',
  },
  memory: {
    shape: {
      type: 'union',
      expected: 'GB as a number, or a size such as `16GB`',
      of: NUMBER_OR_TEXT,
      check: (text) => parseMemory(text).flaw,
    },
    doc: 'Main memory that each node gives to the task: GB (`32`, `32+`), with a unit (`64GB`, `512MB`), or per CPU (`2x`).',
    example: 'memory: 32+',
    effect: 'own',
    values: ['16+', '32+', '64GB'],
    anchor: 'resources-memory',
  },
  priority: {
    shape: { type: 'integer', min: -1000, max: 1000 },
    doc: 'Place in the queue: jobs with a higher number go first, equal ones in the order of submitting. -1000 to 1000, 0 unless given.',
    example: 'priority: 10',
    effect: 'own',
  },
  cloud: cloud(
    { type: 'string', oneOf: CLOUDS, anyCase: true },
    'Cloud to use; the old way to write `infra`.',
    'cloud: aws',
  ),
  region: cloud(TEXT, 'Region of the cloud; the old way to write `infra`.', 'region: us-east-1'),
  zone: cloud(TEXT, 'Zone of the cloud; the old way to write `infra`.', 'zone: us-east-1a'),
  instance_type: cloud(TEXT, 'Kind of machine to rent.', 'instance_type: p3.8xlarge'),
  use_spot: cloud({ type: 'boolean' }, 'Rent machines that the cloud may take back.', 'use_spot: true'),
  job_recovery: {
    shape: JOB_RECOVERY,
    doc:
      'What becomes of a job that fails: `max_restarts_on_errors` says how often it is run again after an exit code other ' +
      'than 0 (as `cq exec --retries`). Strategies are for clouds.',
    example: 'job_recovery:\n  max_restarts_on_errors: 3',
    effect: 'own',
    anchor: 'resources-job-recovery',
    snippet: '\n  max_restarts_on_errors: ${1:3}',
  },
  disk_size: cloud(SIZE_SHAPE, 'Size of the system disk: GB, or with a unit.', 'disk_size: 256'),
  ephemeral_storage: cloud(SIZE_SHAPE, 'Scratch space of a Kubernetes pod.', 'ephemeral_storage: 100GB'),
  disk_tier: cloud(
    { type: 'string', check: diskTierFlaw },
    'Speed of the system disk.',
    'disk_tier: medium',
    {
      values: DISK_TIERS,
    },
  ),
  network_tier: cloud(TEXT, 'Speed of the network between nodes.', 'network_tier: best', {
    values: ['standard', 'best'],
  }),
  local_disk: cloud(
    { type: 'string', check: localDiskFlaw },
    'Local disk: `ssd:500`, `nvme:1000+`.',
    'local_disk: ssd:500',
  ),
  max_hourly_cost: cloud({ type: 'number', above: 0 }, 'Most that an hour may cost.', 'max_hourly_cost: 5.0'),
  ports: cloud(
    {
      type: 'union',
      expected: 'a port, a range such as `8000-8010`, or a list of them',
      nullable: true,
      check: portsFlaw,
      of: [
        { type: 'string' },
        { type: 'integer' },
        {
          type: 'list',
          items: {
            type: 'union',
            expected: 'a port or a range',
            check: portsFlaw,
            of: [{ type: 'string' }, { type: 'integer' }],
          },
        },
      ],
    },
    'Ports to open in the cloud. On your own nodes every port that the job listens on is simply there.',
    'ports: 8080',
  ),
  labels: cloud({ type: 'dict', values: TEXT }, 'Labels for the machines.', 'labels:\n  project: my-project'),
  image_id: cloud(
    {
      type: 'union',
      expected: 'an image, or a mapping of region to image',
      nullable: true,
      of: [TEXT, { type: 'dict', values: { type: 'any' } }],
    },
    'Machine or container image.',
    'image_id: docker:ubuntu:22.04',
    { noEffectBecause: 'The job runs directly on the node, not in an image' },
  ),
  accelerator_args: cloud(
    {
      type: 'object',
      fields: {
        runtime_version: plain(TEXT, 'TPU runtime.', 'tpu-vm-base'),
        tpu_name: plain(TEXT, 'Name of the TPU.', 'mytpu'),
        tpu_vm: plain({ type: 'boolean' }, 'A TPU VM rather than a TPU node.', 'true'),
        gcp_queued_resource: plain({ type: 'boolean' }, 'Ask for it as a queued resource.', 'true'),
      },
    },
    'Details of a TPU.',
    'accelerator_args:\n  runtime_version: tpu-vm-base',
  ),
  autostop: cloud(AUTOSTOP, 'Stop the rented machines after a time without jobs.', 'autostop: 10m'),
  priority_class: cloud(TEXT, 'Kubernetes priority class.', 'priority_class: high'),
  volumes: cloud(VOLUMES, 'Disks to attach.', 'volumes:\n  - path: /mnt/data\n    name: my-volume'),
  _docker_login_config: INTERNAL,
  _is_image_managed: INTERNAL,
  _requires_fuse: INTERNAL,
  _cluster_config_overrides: INTERNAL,
  _no_missing_accel_warnings: INTERNAL,
};

/** As SkyPilot's `Task.from_yaml_config` has it, since its hooks were made general (pull request 9064). */
const MISPLACED = {
  hooks:
    '`hooks` is not a field of `resources`: SkyPilot takes it as `config.hooks`, at the top level of the task. Move the list there.',
};

const ALTERNATIVE: ObjectShape = {
  type: 'object',
  fields: { ...accelerators(ONE_ACCELERATOR), ...SINGLE },
  misplaced: MISPLACED,
  rules: [resourceRules.oneNameForAccelerators, resourceRules.infraOrCloud],
};

/** Fields of `resources`. */
export const RESOURCE_FIELDS: FieldTable = {
  ...accelerators(ACCELERATORS),
  ...SINGLE,
  any_of: {
    shape: { type: 'list', items: ALTERNATIVE },
    doc: 'Alternatives of equal worth; each is laid over the fields beside `any_of`. The first that fits is taken.',
    example: 'any_of:\n  - accelerators: V100:4\n  - accelerators: A100:2',
    effect: 'own',
    snippet: '\n  - accelerators: $1',
    anchor: 'resources-any-of',
  },
  ordered: {
    shape: { type: 'list', items: ALTERNATIVE },
    doc: 'Alternatives in order of preference; each is laid over the fields beside `ordered`.',
    example: 'ordered:\n  - accelerators: A100:2\n  - accelerators: V100:4',
    effect: 'own',
    snippet: '\n  - accelerators: $1',
    anchor: 'resources-ordered',
  },
};

/** The whole of `resources`. */
export const RESOURCES_SHAPE: ObjectShape = {
  type: 'object',
  fields: RESOURCE_FIELDS,
  dropsNull: true,
  misplaced: MISPLACED,
  rules: Object.values(resourceRules),
};
