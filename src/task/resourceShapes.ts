import { parseAccelerator } from './accelerators';
import { acceleratorEntryRule } from './resourceRules';
import type { DictShape, Field, Shape } from './shape';

/** A field that is only ever seen below another one. */
export function plain(shape: Shape, doc: string, example: string): Field {
  return { shape, doc, example, effect: 'own' };
}

const SIZE = /^[0-9]+(?:[kmgtp][bi]|[KMGTP][BI]|[KMGTP][bi])?$/;
const EXIT_CODE = { type: 'integer', min: 0, max: 255 } as const;

/** `100`, `100GB`: a disk size. */
export const SIZE_SHAPE: Shape = {
  type: 'union',
  expected: 'a whole number of GB, or a size such as `100GB`',
  of: [
    {
      type: 'string',
      pattern: SIZE,
      patternSays: 'a whole number with a unit KB, MB, GB, TB or PB, such as `100GB`',
    },
    { type: 'integer' },
  ],
};

/** `autostop`. */
export const AUTOSTOP: Shape = {
  type: 'union',
  expected: '`true`, `false`, minutes, a time such as `10m`, or a mapping',
  of: [
    { type: 'boolean' },
    {
      type: 'string',
      pattern: /^[0-9]+(?:m|h|d|w|M|H|D|W)?$/,
      patternSays: 'a whole number of minutes, or a time such as `10m`, `2h`, `1d`, `1w`',
    },
    { type: 'integer' },
    {
      type: 'object',
      fields: {
        idle_minutes: plain({ type: 'integer', min: 0 }, 'Minutes without a job before it stops.', '10'),
        down: plain({ type: 'boolean' }, 'Tear down instead of stop.', 'true'),
        wait_for: plain(
          { type: 'string', oneOf: ['jobs_and_ssh', 'jobs', 'none'], anyCase: true },
          'What counts as being in use.',
          'jobs',
        ),
        hook: plain({ type: 'string' }, 'Command to run before the stop.', 'echo stopping'),
        hook_timeout: plain({ type: 'integer', min: 1 }, 'Seconds the hook may take.', '600'),
      },
    },
  ],
};

/** `job_recovery`. */
export const JOB_RECOVERY: Shape = {
  type: 'union',
  expected: 'a strategy (`FAILOVER`, `EAGER_NEXT_REGION`, `none`) or a mapping',
  of: [
    { type: 'string' },
    {
      type: 'object',
      // Plugins of a SkyPilot server may add fields, which its client cannot know.
      open: true,
      fields: {
        strategy: {
          ...plain({ type: 'string', nullable: true }, 'Recovery strategy.', 'FAILOVER'),
          effect: 'none-on-ssh',
        },
        max_restarts_on_errors: plain(
          { type: 'integer', min: 0 },
          'How often the job is run again after it ended with an exit code other than 0.',
          '3',
        ),
        recover_on_exit_codes: {
          ...plain(
            {
              type: 'union',
              expected: 'an exit code from 0 to 255, or a list of them',
              of: [EXIT_CODE, { type: 'list', items: EXIT_CODE, unique: true }],
            },
            'Exit codes after which it restarts.',
            '[33, 34]',
          ),
          effect: 'none-on-ssh',
        },
      },
    },
  ],
};

/** `volumes` of `resources`. */
export const VOLUMES: Shape = {
  type: 'list',
  items: {
    type: 'object',
    open: true,
    fields: {
      path: plain({ type: 'string' }, 'Where it is mounted.', '/mnt/data'),
      name: plain({ type: 'string' }, 'Name of the volume.', 'my-volume'),
      disk_size: plain(SIZE_SHAPE, 'Its size.', '100GB'),
      disk_tier: plain({ type: 'string' }, 'Its speed.', 'high'),
      auto_delete: plain({ type: 'boolean' }, 'Delete it with the cluster.', 'true'),
      storage_type: plain({ type: 'string' }, '`network` or `instance`.', 'network'),
      attach_mode: plain({ type: 'string' }, '`read_write` or `read_only`.', 'read_write'),
    },
  },
};

const ACCELERATOR = { type: 'string', check: (text: string) => parseAccelerator(text).flaw } as const;
const ACCELERATOR_DICT: DictShape = {
  type: 'dict',
  values: { type: 'number', nullable: true },
  minEntries: 1,
  rules: [acceleratorEntryRule],
};
/** `accelerators` beside other fields: also alternatives. */
export const ACCELERATORS: Shape = {
  type: 'union',
  expected:
    'a name with a count (`V100:4`), a list of them in order of preference, or a mapping of name to count',
  of: [ACCELERATOR, ACCELERATOR_DICT, { type: 'list', items: ACCELERATOR, minItems: 1 }],
};
/** `accelerators` of one alternative. */
export const ONE_ACCELERATOR: Shape = {
  type: 'union',
  expected: 'one name with a count (`V100:4`); give each alternative an item of its own',
  of: [ACCELERATOR, { ...ACCELERATOR_DICT, values: { type: 'number' }, maxEntries: 1 }],
};
