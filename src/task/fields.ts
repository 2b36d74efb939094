import { CONFIG_SHAPE, POOL_SHAPE, SERVICE_SHAPE, STORAGE_SHAPE } from './cloudFields';
import { taskNameFlaw } from './names';
import { nulFlaw } from './nul';
import { RESOURCES_SHAPE } from './resourceFields';
import {
  INTERNAL,
  type Field,
  type FieldTable,
  type ObjectShape,
  type RemovedField,
  type Shape,
} from './shape';
import {
  envRule,
  fileMountRule,
  secretItemFlaw,
  secretRule,
  serviceOrPool,
  wholeFlaw,
  skyWorkdir,
  workdirMount,
} from './taskRules';

const TEXT = { type: 'string' } as const;
/** Text that nodes get. */
const SENT = { ...TEXT, check: nulFlaw } as const;

function cloud(shape: Shape, doc: string, example: string, more?: Partial<Field>): Field {
  return { shape, doc, example, effect: 'none-on-ssh', ...more };
}

const PLACES =
  '`cq` takes a relative path from the current folder, as `sky` does, or else from the folder of the task file; VS Code from ' +
  'that folder, or else from the workspace folder.';

const COST: Shape = { type: 'dict', values: { type: 'number' }, maxEntries: 1 };

/**
 * Every field of a task file, with those of its mappings inside. The one table behind the check, completion, hover, the
 * JSON schema and docs/task-yaml.md.
 */
export const FIELDS: FieldTable = {
  name: {
    shape: { ...TEXT, check: taskNameFlaw },
    doc: 'Name of the task, shown in the queue. ASCII letters, digits, `.`, `_`, `-`.',
    example: 'name: train-resnet',
    effect: 'own',
    anchor: 'name',
  },
  workdir: {
    shape: {
      type: 'union',
      expected: 'a local folder, or a git repository (`url`, `ref`)',
      of: [
        SENT,
        {
          type: 'object',
          required: ['url'],
          fields: {
            url: {
              shape: SENT,
              doc: 'Git URL to clone: by the `git` of this machine, so with the access that you have here.',
              example: 'url: https://github.com/me/project',
              effect: 'own',
            },
            ref: {
              shape: SENT,
              doc: 'Branch, tag or commit; jobs run it as it is at submit.',
              example: 'ref: main',
              effect: 'own',
            },
          },
        },
      ],
    },
    doc:
      'Local folder, or a git repository, that is copied to each node of the job as it is at submit; `setup` and `run` start in it. ' +
      `Each job has a copy of its own. \`$NAME\` is filled in from \`envs\` and \`secrets\`. ${PLACES}`,
    example: 'workdir: .',
    effect: 'own',
    values: ['.'],
    anchor: 'workdir',
  },
  num_nodes: {
    shape: { type: 'integer', min: 1, check: wholeFlaw },
    doc: 'How many nodes run `run` at the same time, each with the same `resources`. They start together or not at all.',
    example: 'num_nodes: 2',
    effect: 'own',
    values: ['1', '2', '4'],
    anchor: 'num-nodes',
  },
  resources: {
    shape: RESOURCES_SHAPE,
    doc: 'What **each node** gives to the task.',
    example: 'resources:\n  accelerators: V100:4\n  cpus: 8+',
    effect: 'own',
    snippet: '\n  accelerators: $1',
    anchor: 'resources',
  },
  envs: {
    shape: { type: 'dict', values: { type: 'any' }, rules: [envRule] },
    doc: 'Environment variables of `setup` and `run`. A variable without a value is asked for at exec.',
    example: 'envs:\n  MODEL_SIZE: 13b\n  SEED: 42',
    effect: 'own',
    snippet: '\n  ${1:NAME}: ${2:value}',
    anchor: 'envs',
  },
  secrets: {
    shape: {
      type: 'union',
      expected: 'a mapping of name to value',
      of: [
        { type: 'dict', values: { type: 'any' }, rules: [secretRule] },
        { type: 'list', items: { ...TEXT, check: secretItemFlaw } },
      ],
    },
    doc: 'Environment variables that are never shown nor stored in the clear. Without a value they are asked for at exec.',
    example: 'secrets:\n  HF_TOKEN:',
    effect: 'own',
    snippet: '\n  ${1:HF_TOKEN}:',
    anchor: 'secrets',
  },
  file_mounts: {
    shape: {
      type: 'dict',
      rules: [fileMountRule],
      values: {
        type: 'union',
        expected: 'a local path, a URL, or a storage mapping',
        of: [SENT, STORAGE_SHAPE],
      },
    },
    doc:
      'Files and folders to copy to each node at launch: path on the node → local path, or an `s3://`, `gs://`, `r2://`, `hf://` or `https://` address that each node fetches with a tool of its own. ' +
      `\`$NAME\` is filled in on both sides. ${PLACES}`,
    example: 'file_mounts:\n  ~/data/labels.csv: ./labels.csv',
    effect: 'own',
    snippet: '\n  ${1:~/data}: ${2:./data}',
    anchor: 'file-mounts',
  },
  setup: {
    shape: SENT,
    doc: 'Shell commands that prepare the nodes at launch, before `run`. What they make in `workdir` (a venv, data) is in that of every later job on the cluster too.',
    example: 'setup: |\n  pip install -r requirements.txt',
    effect: 'own',
    snippet: ' |\n  $0',
    anchor: 'setup',
  },
  run: {
    shape: SENT,
    doc: 'Shell commands of the job; they run on each of its nodes. The last command decides whether it succeeded.',
    example: 'run: |\n  python train.py',
    effect: 'own',
    snippet: ' |\n  $0',
    anchor: 'run',
  },
  service: cloud(SERVICE_SHAPE, 'A SkyServe service.', 'service:\n  readiness_probe: /health\n  replicas: 2'),
  pool: cloud(POOL_SHAPE, 'A SkyPilot pool of workers.', 'pool:\n  workers: 2'),
  volumes: cloud(
    { type: 'dict', values: { type: 'any' } },
    'Kubernetes volumes.',
    'volumes:\n  /mnt/data: my-volume',
  ),
  config: cloud(
    CONFIG_SHAPE,
    "Overrides of SkyPilot's own configuration.",
    'config:\n  kubernetes:\n    provision_timeout: 600',
    {
      anchor: 'config',
    },
  ),
  event_callback: cloud(
    TEXT,
    'Command that SkyPilot runs when the status changes.',
    'event_callback: echo changed',
  ),
  inputs: cloud(
    COST,
    'Input data and its size in GB, for cost estimates.',
    'inputs:\n  s3://bucket/data: 70',
  ),
  outputs: cloud(
    COST,
    'Output data and its size in GB, for cost estimates.',
    'outputs:\n  s3://bucket/out: 5',
  ),
  managed_secrets: cloud(
    {
      type: 'list',
      items: {
        type: 'union',
        expected: 'a name, or a mapping of one name to its `mount_path`',
        of: [
          TEXT,
          {
            type: 'dict',
            maxEntries: 1,
            values: {
              type: 'object',
              fields: {
                mount_path: {
                  shape: TEXT,
                  doc: 'Where it is mounted.',
                  example: 'mount_path: /x',
                  effect: 'own',
                },
              },
            },
          },
        ],
      },
    },
    'Secrets that a SkyPilot server keeps.',
    'managed_secrets:\n  - HF_TOKEN',
  ),
  api_server_access: cloud(
    { type: 'boolean' },
    'Give the job access to the SkyPilot server.',
    'api_server_access: false',
  ),
  file_mounts_mapping: INTERNAL,
  volume_mounts: INTERNAL,
  _metadata: INTERNAL,
};

/** The whole of one task document. */
export const TASK_SHAPE: ObjectShape = {
  type: 'object',
  fields: FIELDS,
  dropsNull: true,
  rules: [serviceOrPool, workdirMount, skyWorkdir],
};

/** Fields of older SkyPilot releases, which the current one refuses. */
export const REMOVED_FIELDS: Readonly<Record<string, RemovedField>> = {
  experimental: {
    replacement: 'config',
    message: '`experimental` is gone from SkyPilot: `config` took its place.',
  },
  spot_recovery: {
    replacement: 'job_recovery',
    message: '`spot_recovery` is gone from SkyPilot: write `job_recovery`.',
  },
};
