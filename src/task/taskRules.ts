import type { Flaw } from './grammar';
import { envNameFlaw } from './names';
import { nulFlaw } from './nul';
import type { ProblemList } from './problems';
import { later } from './resourceRules';
import { pythonText } from './scalar';
import { entryOf, isNull, valueOf, type MapEntry, type MapNode } from './tree';

const BUCKET =
  /^(?:s3|gs|r2|cos|oci|nebius|cw|vastdata|hf):\/\/|^https:\/\/[^/]+\.blob\.core\.windows\.net\//;
/** What nodes can fetch by tools of their own. */
const FETCHED = /^(?:s3|gs|r2|hf|https):\/\//;
const MANAGED = /^secrets:/;

/** Names of variables, missing values, and values that SkyPilot would pass on as Python's spelling of a list. */
export function envRule(map: MapNode, problems: ProblemList): void {
  for (const entry of map.entries) {
    checkName(entry, problems, 'error');
    checkValue(entry, problems, 'variable');
  }
}

/** As `envRule`, for secrets: SkyPilot takes any name, though a shell cannot have it. */
export function secretRule(map: MapNode, problems: ProblemList): void {
  for (const entry of map.entries) {
    if (MANAGED.test(entry.key.text)) {
      problems.add(noEffect(entry.key, `\`${entry.key.text}\` is kept by a SkyPilot server`));
      continue;
    }
    checkName(entry, problems, 'warning');
    checkValue(entry, problems, 'secret');
  }
}

function checkName({ key }: MapEntry, problems: ProblemList, severity: Flaw['severity']): void {
  const name = pythonText(key.type, key.text);
  const nul = nulFlaw(name);
  const flaw = envNameFlaw(name);
  if (nul) {
    problems.error(key, nul.code, nul.message);
  } else if (flaw) {
    const fix =
      flaw.replacement === undefined
        ? undefined
        : { title: `Rename to \`${flaw.replacement}\``, text: flaw.replacement };
    problems.report(severity, key, flaw.code, flaw.message, fix);
  } else if (name !== key.text) {
    const message = `YAML reads the name \`${key.text}\` as ${name}: put it in quotes.`;
    problems.report('warning', key, 'name-not-text', message, {
      title: 'Put it in quotes',
      text: JSON.stringify(key.text),
    });
  }
}

function checkValue({ key, value }: MapEntry, problems: ProblemList, what: 'variable' | 'secret'): void {
  if (value.kind !== 'scalar') {
    const message = `The value is a ${value.kind === 'map' ? 'mapping' : 'list'}; the job gets it in Python's spelling. Quote it to say what it gets.`;
    problems.report('warning', value, 'value-not-text', message);
  } else if (isNull(value)) {
    problems.report('information', key, 'asks-for-value', `The ${what} has no value: exec asks for it.`);
  } else {
    const flaw = nulFlaw(value.text);
    if (flaw) problems.error(value, flaw.code, flaw.message);
  }
}

/** What is wrong with an item of the list form of `secrets`. */
export function secretItemFlaw(text: string): Flaw | undefined {
  if (MANAGED.test(text)) return undefined;
  return {
    code: 'bad-secret',
    message:
      'An item must start with `secrets:`; for a secret of your own write a mapping: `secrets:`, then `NAME: value`.',
    severity: 'error',
  };
}

/** SkyPilot takes `2.0` for a whole number in its schema, and then refuses it. */
export function wholeFlaw(text: string): Flaw | undefined {
  const whole = /^([-+]?\d+)\.0*$/.exec(text);
  if (!whole) return undefined;
  const replacement = whole[1] ?? '';
  return {
    code: 'wrong-type',
    message: `A whole number is written without a point: \`${replacement}\`.`,
    severity: 'error',
    replacement,
  };
}

/** Ends of paths, and buckets that one's own nodes cannot copy. */
export function fileMountRule(map: MapNode, problems: ProblemList): void {
  for (const { key, value } of map.entries) {
    const nul = nulFlaw(key.text);
    if (nul) problems.error(key, nul.code, nul.message);
    if (BUCKET.test(key.text)) {
      problems.error(
        key,
        'bad-path',
        'The left side is a path on the node; a bucket can only be on the right side.',
      );
      continue;
    }
    if (value.kind === 'map') {
      const mode = valueOf(value, 'mode');
      if (mode?.kind !== 'scalar' || mode.text.toUpperCase() !== 'COPY')
        problems.add(noEffect(key, 'A mount of a bucket is for clouds; `mode: COPY` copies it to the nodes'));
      continue;
    }
    if (value.kind !== 'scalar' || value.type !== 'string') continue;
    for (const side of [key, value]) {
      if (!side.text.endsWith('/')) continue;
      const trimmed = side.text.replace(/\/+$/, '');
      const fix =
        trimmed === '' || side.style !== 'plain'
          ? undefined
          : { title: `Write \`${trimmed}\``, text: trimmed };
      problems.error(side, 'bad-path', 'A path in `file_mounts` does not end with a slash.', fix);
    }
    if (BUCKET.test(value.text) && !FETCHED.test(value.text))
      problems.add(noEffect(key, 'A bucket is for clouds'));
  }
}

function noEffect(span: { start: number; end: number }, because: string) {
  const message = `${because}: it has no effect on an SSH cluster.`;
  return {
    severity: 'information',
    code: 'no-effect',
    message,
    start: span.start,
    end: span.end,
    noEffect: true,
  } as const;
}

export function serviceOrPool(map: MapNode, problems: ProblemList): void {
  const service = entryOf(map, 'service');
  const pool = entryOf(map, 'pool');
  if (!service || !pool) return;
  problems.error(
    later(service, pool).key,
    'exclusive-fields',
    'A task is a `service` or a `pool`, not both.',
  );
}

/** The folder that `workdir` is copied to cannot be a mount too. */
export function workdirMount(map: MapNode, problems: ProblemList): void {
  const mounts = valueOf(map, 'file_mounts');
  if (!entryOf(map, 'workdir') || mounts?.kind !== 'map') return;
  for (const { key } of mounts.entries) {
    if (key.text !== '~/sky_workdir') continue;
    problems.error(
      key,
      'exclusive-fields',
      'With SkyPilot `~/sky_workdir` is where `workdir` is copied to: mount it elsewhere.',
    );
  }
}

/** A script that names SkyPilot's one folder for all jobs, which is not there. */
export function skyWorkdir(map: MapNode, problems: ProblemList): void {
  for (const field of ['setup', 'run']) {
    const entry = entryOf(map, field);
    const script = entry?.value;
    if (!entry || script?.kind !== 'scalar') continue;
    if (!/^(?!\s*#).*(~|\$HOME|\$\{HOME\})\/sky_workdir\b/m.test(script.text)) continue;
    problems.report(
      'information',
      entry.key,
      'no-sky-workdir',
      `\`${field}\` names \`~/sky_workdir\`, which is not there: each job starts in a copy of its own of \`workdir\`, so a relative path will do.`,
    );
  }
}
