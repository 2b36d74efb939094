import { parseAccelerator } from './accelerators';
import type { ProblemList } from './problems';
import { pythonText } from './scalar';
import { entryOf, isNull, valueOf, type MapEntry, type MapNode, type TreeNode } from './tree';

const LEGACY_PLACE = ['cloud', 'region', 'zone'] as const;

function hasItems(node: TreeNode | undefined): boolean {
  return node?.kind === 'list' && node.items.length > 0;
}

/** The one of two entries that stands later in the text, where the reader can first see the clash. */
export function later(one: MapEntry, other: MapEntry): MapEntry {
  return one.key.start > other.key.start ? one : other;
}

function alternatives(map: MapNode): readonly MapNode[] {
  return ['any_of', 'ordered'].flatMap((key) => {
    const list = valueOf(map, key);
    return list?.kind === 'list' ? list.items.filter((item): item is MapNode => item.kind === 'map') : [];
  });
}

/** `gpus` is another name of `accelerators`: SkyPilot refuses both even where one is null. */
function oneNameForAccelerators(map: MapNode, problems: ProblemList): void {
  const [accelerators, gpus] = ['accelerators', 'gpus'].map((name) =>
    map.entries.find((entry) => entry.key.text === name),
  );
  if (!accelerators || !gpus) return;
  const message = '`gpus` and `accelerators` are two names of one field: keep one of them.';
  problems.error(later(accelerators, gpus).key, 'exclusive-fields', message);
}

function infraOrCloud(map: MapNode, problems: ProblemList): void {
  for (const place of [map, ...alternatives(map)]) {
    const infra = entryOf(place, 'infra') ?? entryOf(map, 'infra');
    const name = LEGACY_PLACE.find((field) => entryOf(place, field) ?? entryOf(map, field));
    const legacy = name && (entryOf(place, name) ?? entryOf(map, name));
    if (!infra || !legacy) continue;
    const message = `\`infra\` already says where to run: it does not go with \`${legacy.key.text}\`.`;
    problems.error(later(infra, legacy).key, 'exclusive-fields', message);
    return;
  }
}

function anyOfOrOrdered(map: MapNode, problems: ProblemList): void {
  const anyOf = entryOf(map, 'any_of');
  const ordered = entryOf(map, 'ordered');
  if (!anyOf || !ordered) return;
  const message = '`any_of` and `ordered` exclude each other: alternatives are either equal or in order.';
  problems.error(later(anyOf, ordered).key, 'exclusive-fields', message);
}

function acceleratorAlternatives(map: MapNode, problems: ProblemList): void {
  const accelerators = valueOf(map, 'accelerators') ?? valueOf(map, 'gpus');
  if (!accelerators || accelerators.kind === 'scalar') return;
  const count = accelerators.kind === 'list' ? accelerators.items.length : accelerators.entries.length;
  if (count < 2) return;
  for (const key of ['any_of', 'ordered'] as const) {
    if (key === 'any_of' && accelerators.kind === 'map') continue;
    const entry = entryOf(map, key);
    if (!entry || !hasItems(entry.value)) continue;
    const message = `Several \`accelerators\` do not go with \`${key}\`: move them into its items.`;
    problems.error(entry.key, 'exclusive-fields', message);
  }
}

function samePriority(map: MapNode, problems: ProblemList): void {
  const base = valueOf(map, 'priority');
  const textOf = (node: TreeNode | undefined) => (node?.kind === 'scalar' ? Number(node.text) : undefined);
  const items = alternatives(map).map((item) => valueOf(item, 'priority') ?? base);
  const first = textOf(items[0]);
  for (const item of items) {
    const node = item ?? base;
    if (textOf(item) === first) continue;
    const message = 'A job has one priority: it must be the same in all alternatives.';
    problems.error(node ?? items[0] ?? map, 'exclusive-fields', message);
    return;
  }
}

/** What must hold between the fields of `resources`. */
export const resourceRules = {
  oneNameForAccelerators,
  infraOrCloud,
  anyOfOrOrdered,
  acceleratorAlternatives,
  samePriority,
};

/** Text of one entry of a mapping of accelerators, as SkyPilot joins it: `V100:8`, or the key alone. */
export function acceleratorEntryText(entry: MapEntry): string {
  const name = pythonText(entry.key.type, entry.key.text);
  if (isNull(entry.value) || entry.value.kind !== 'scalar') return name;
  return `${name}:${pythonText(entry.value.type, entry.value.text)}`;
}

/** Each entry of a mapping of accelerators must be one when its name and count are joined. */
export function acceleratorEntryRule(map: MapNode, problems: ProblemList): void {
  for (const entry of map.entries) {
    const { value } = entry;
    if (value.kind !== 'scalar' || !['integer', 'float', 'null'].includes(value.type)) continue;
    const flaw = parseAccelerator(acceleratorEntryText(entry)).flaw;
    if (!flaw) continue;
    const span = flaw.code === 'bad-count' && value.type !== 'null' ? value : entry.key;
    const fix =
      flaw.replacement !== undefined && value.type === 'null'
        ? { title: `Write \`${flaw.replacement}\``, text: flaw.replacement }
        : undefined;
    problems.report(flaw.severity, span, flaw.code, flaw.message, fix);
  }
}
