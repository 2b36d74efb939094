import { plain, SIZE_SHAPE } from './resourceShapes';
import type { Field, ObjectShape, Shape } from './shape';

const TEXT = { type: 'string' } as const;
const NUMBER = { type: 'number' } as const;
const FLAG = { type: 'boolean' } as const;
const COUNT = { type: 'integer', min: 0 } as const;

function oneOf(...names: string[]): Shape {
  return { type: 'string', oneOf: names, anyCase: true };
}

function object(fields: Record<string, Field>, more?: Partial<ObjectShape>): ObjectShape {
  return { type: 'object', fields, ...more };
}

const RCLONE_SIZE = /^[0-9]+(?:[bkmgtp]|[BKMGTP])?$/;
const RCLONE_TIME = /^(?:(?:[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:ms|[smhdwMy]))+|[-+]?(?:\d+(?:\.\d+)?|\.\d+))$/;
const size: Shape = { type: 'string', pattern: RCLONE_SIZE, patternSays: 'a size such as `64M`' };
const duration: Shape = { type: 'string', pattern: RCLONE_TIME, patternSays: 'a time such as `5s`' };

/** A bucket or volume in `file_mounts`. */
export const STORAGE_SHAPE = object(
  {
    name: plain(TEXT, 'Name of the bucket.', 'my-bucket'),
    source: plain(
      {
        type: 'union',
        expected: 'a path or URL, or a list of paths',
        of: [TEXT, { type: 'list', items: TEXT, minItems: 1 }],
      },
      'What to copy into it.',
      '~/data',
    ),
    store: plain(
      oneOf(
        'S3',
        'GCS',
        'AZURE',
        'R2',
        'IBM',
        'OCI',
        'NEBIUS',
        'COREWEAVE',
        'VASTDATA',
        'VOLUME',
        'HF',
        'TIGRIS',
      ),
      'Kind of store.',
      's3',
    ),
    persistent: plain(FLAG, 'Keep it after the cluster.', 'true'),
    mode: plain(oneOf('MOUNT', 'COPY', 'MOUNT_CACHED'), 'How it gets to the node.', 'MOUNT'),
    mount_options: plain(TEXT, 'Options of the mount.', 'ro'),
    type: plain(
      oneOf('MODEL_CHECKPOINT_RO', 'MODEL_CHECKPOINT_RW', 'DATASET_RO', 'DATASET_RW'),
      'Tuning.',
      'DATASET_RO',
    ),
    config: plain(
      object(
        {
          disk_size: plain(SIZE_SHAPE, 'Its size.', '100'),
          disk_tier: plain(TEXT, 'Its speed.', 'best'),
          storage_type: plain(TEXT, '`network` or `instance`.', 'network'),
          attach_mode: plain(TEXT, '`read_write` or `read_only`.', 'read_write'),
          mount_cached: plain(
            object({
              transfers: plain({ type: 'integer', min: 1 }, 'Parallel transfers.', '4'),
              buffer_size: plain(size, 'Buffer.', '64M'),
              vfs_cache_max_size: plain(size, 'Cache size.', '10G'),
              vfs_cache_max_age: plain(duration, 'Cache age.', '1h'),
              vfs_read_ahead: plain(size, 'Read ahead.', '128M'),
              vfs_read_chunk_size: plain(size, 'Chunk size.', '32M'),
              vfs_read_chunk_streams: plain(COUNT, 'Parallel chunks.', '16'),
              vfs_write_back: plain(duration, 'Delay of writes.', '5s'),
              read_only: plain(FLAG, 'Only read.', 'true'),
            }),
            'Details of MOUNT_CACHED.',
            'transfers: 4',
          ),
          mount: plain(
            object({
              read_only: plain(FLAG, 'Only read.', 'true'),
              hf_mount_args: plain({ type: 'list', items: TEXT }, 'Arguments of hf-mount.', '[]'),
            }),
            'Details of MOUNT.',
            'read_only: true',
          ),
        },
        { open: true },
      ),
      'Details of the volume.',
      'disk_size: 100',
    ),
    _is_sky_managed: { ...plain(FLAG, 'Written by SkyPilot itself.', ''), internal: true },
    _bucket_sub_path: { ...plain(TEXT, 'Written by SkyPilot itself.', ''), internal: true },
    _force_delete: { ...plain(FLAG, 'Written by SkyPilot itself.', ''), internal: true },
  },
  { dropsNull: true },
);

const PROBE: Shape = {
  type: 'union',
  expected: 'a path, or a mapping with `path`',
  of: [
    TEXT,
    object(
      {
        path: plain(TEXT, 'Path to ask for.', '/health'),
        initial_delay_seconds: plain(NUMBER, 'Seconds before the first probe counts.', '1200'),
        timeout_seconds: plain(NUMBER, 'Seconds a probe may take.', '15'),
        endpoint_probe_interval_seconds: plain(NUMBER, 'Seconds between probes.', '10'),
        consecutive_failure_threshold_timeout: plain(
          NUMBER,
          'Seconds of failures before it is replaced.',
          '180',
        ),
        post_data: plain(
          {
            type: 'union',
            expected: 'a text or a mapping',
            of: [TEXT, { type: 'dict', values: { type: 'any' } }],
          },
          'Body to post.',
          '{}',
        ),
        headers: plain({ type: 'dict', values: TEXT }, 'Headers to send.', 'Authorization: token'),
      },
      { required: ['path'] },
    ),
  ],
};

const REPLICA_POLICY = object(
  {
    min_replicas: plain(COUNT, 'Fewest replicas.', '1'),
    max_replicas: plain(COUNT, 'Most replicas.', '3'),
    num_overprovision: plain(COUNT, 'Spare replicas.', '1'),
    target_qps_per_replica: plain(
      {
        type: 'union',
        expected: 'a number, or a mapping of accelerator to number',
        of: [
          { type: 'number', min: 0 },
          { type: 'dict', values: { type: 'number', min: 0 } },
        ],
      },
      'Requests per second and replica to aim at.',
      '5',
    ),
    dynamic_ondemand_fallback: plain(FLAG, 'Fall back to machines that are not spot.', 'true'),
    base_ondemand_fallback_replicas: plain(COUNT, 'Replicas that are never spot.', '1'),
    spot_placer: plain(oneOf('dynamic_fallback'), 'How spot machines are placed.', 'dynamic_fallback'),
    upscale_delay_seconds: plain(NUMBER, 'Seconds before more replicas.', '300'),
    downscale_delay_seconds: plain(NUMBER, 'Seconds before fewer replicas.', '1200'),
  },
  { required: ['min_replicas'] },
);

/** `pool`. */
export const POOL_SHAPE = object(
  {
    workers: plain(COUNT, 'Number of workers.', '2'),
    min_workers: plain(COUNT, 'Fewest workers.', '1'),
    max_workers: plain(COUNT, 'Most workers.', '4'),
    queue_length_threshold: plain({ type: 'integer', min: 1 }, 'Waiting jobs before it grows.', '1'),
    upscale_delay_seconds: plain({ type: 'number', min: 0 }, 'Seconds before more workers.', '300'),
    downscale_delay_seconds: plain({ type: 'number', min: 0 }, 'Seconds before fewer workers.', '1200'),
  },
  { dropsNull: true },
);

/** `service`. */
export const SERVICE_SHAPE = object(
  {
    readiness_probe: plain(PROBE, 'How a replica is found to be ready.', '/health'),
    replica_policy: plain(REPLICA_POLICY, 'How many replicas.', 'min_replicas: 1'),
    replicas: plain({ type: 'integer' }, 'A fixed number of replicas.', '2'),
    workers: plain({ type: 'integer' }, 'Number of workers of a pool.', '2'),
    ports: plain({ type: 'integer' }, 'Port of the replicas.', '8080'),
    pool: plain(POOL_SHAPE, 'A pool.', 'workers: 2'),
    load_balancer: plain(
      object({ stream_timeout_seconds: plain(NUMBER, 'Seconds a stream may last.', '600') }),
      'Balancer.',
      '',
    ),
    load_balancing_policy: plain(
      oneOf('round_robin', 'least_load', 'instance_aware_least_load'),
      'How requests are spread.',
      'least_load',
    ),
    tls: plain(
      object(
        { keyfile: plain(TEXT, 'Key.', 'key.pem'), certfile: plain(TEXT, 'Certificate.', 'cert.pem') },
        { required: ['keyfile', 'certfile'] },
      ),
      'Certificate of the service.',
      '',
    ),
  },
  { dropsNull: true },
);

const anything: Shape = { type: 'any' };

function section(names: readonly string[]): Field {
  const fields = Object.fromEntries(
    names.map((name) => [name, plain(anything, 'See the SkyPilot configuration.', name)]),
  );
  return plain(object(fields, { open: true, nullable: true }), 'See the SkyPilot configuration.', '');
}

/** `config`: the part of SkyPilot's configuration that a task may override. */
export const CONFIG_SHAPE = object({
  docker: section(['run_options']),
  nvidia_gpus: section(['disable_ecc']),
  ssh: section(['custom_metadata', 'pod_config', 'provision_timeout']),
  kubernetes: section([
    'custom_metadata',
    'pod_config',
    'provision_timeout',
    'dws',
    'kueue',
    'remote_identity',
    'enable_docker',
  ]),
  gcp: section(['managed_instance_group', 'enable_gvnic', 'enable_gpu_direct', 'placement_policy']),
  azure: section(['resource_group_vm']),
  vast: section(['datacenter_only', 'create_instance_kwargs']),
  slurm: section(['sbatch_options']),
  active_workspace: plain(TEXT, 'Workspace of the SkyPilot server.', 'default'),
  hooks: plain(
    {
      type: 'list',
      maxItems: 32,
      items: object(
        {
          run: plain({ type: 'string', minLength: 1, maxLength: 16384 }, 'Commands.', 'echo stopping'),
          events: plain(
            {
              type: 'list',
              minItems: 1,
              unique: true,
              items: { type: 'string', oneOf: ['stop', 'preemption', 'down'] },
            },
            'When.',
            '[stop]',
          ),
          timeout: plain({ type: 'integer', min: 1 }, 'Seconds it may take.', '60'),
        },
        { required: ['run'] },
      ),
    },
    'Commands at the end of a cluster.',
    '',
  ),
});
