import { isOwnInfra } from './cloudValues';
import { checkScalar, fitsScalar, reportFlaw, typeInWords, wrongType } from './checkScalar';
import { FIELDS, REMOVED_FIELDS } from './fields';
import type { ProblemList } from './problems';
import { RESOURCE_FIELDS } from './resourceFields';
import { pythonText } from './scalar';
import type { DictShape, Field, FieldTable, ListShape, ObjectShape, Shape, UnionShape } from './shape';
import { closest } from './suggest';
import { isNull, type ListNode, type MapEntry, type MapNode, type ScalarNode, type TreeNode } from './tree';

/** Checks a document against a shape and reports every defect at its token. */
export class ShapeChecker {
  /** A shared anchor is checked once per shape, so that aliases cannot multiply the work. */
  private readonly seen = new WeakMap<TreeNode, Set<Shape>>();

  /**
   * @param complete False when parts of the text could not be read: what is missing may be there.
   */
  constructor(
    private readonly problems: ProblemList,
    private readonly complete: boolean,
  ) {}

  /** @param name What the value is called in messages, e.g. `resources.cpus`. */
  check(node: TreeNode, shape: Shape, name: string): void {
    const shapes = this.seen.get(node) ?? new Set();
    if (shapes.has(shape)) return;
    this.seen.set(node, shapes.add(shape));
    if (shape.type === 'any' || (shape.nullable && isNull(node))) return;
    switch (shape.type) {
      case 'union': {
        this.union(node, shape, name);
        return;
      }
      case 'list':
        if (node.kind !== 'list') {
          wrongType(this.problems, node, 'a list', name);
          return;
        }
        {
          this.list(node, shape, name);
          return;
        }
      case 'object':
        if (node.kind !== 'map') {
          wrongType(this.problems, node, 'a mapping of fields', name);
          return;
        }
        {
          this.object(node, shape, name);
          return;
        }
      case 'dict':
        if (node.kind !== 'map') {
          wrongType(this.problems, node, 'a mapping', name);
          return;
        }
        {
          this.dict(node, shape, name);
          return;
        }
      default:
        if (node.kind !== 'scalar' || !fitsScalar(node, shape)) {
          wrongType(this.problems, node, typeInWords(shape), name, shape);
          return;
        }
        checkScalar(this.problems, node, shape, name);
    }
  }

  private union(node: TreeNode, shape: UnionShape, name: string): void {
    const fitting = shape.of.find((candidate) => fits(node, candidate));
    if (!fitting) {
      const text = shape.of.find((candidate) => candidate.type === 'string');
      wrongType(this.problems, node, shape.expected, name, text?.type === 'string' ? text : undefined);
      return;
    }
    this.check(node, fitting, name);
    if (node.kind === 'scalar' && shape.check) reportFlaw(this.problems, node, shape.check);
  }

  private list(node: ListNode, shape: ListShape, name: string): void {
    const seen = new Set<string>();
    for (const item of node.items) {
      this.check(item, shape.items, name);
      if (!shape.unique || item.kind !== 'scalar') continue;
      const text = pythonText(item.type, item.text);
      if (seen.has(text)) this.problems.error(item, 'duplicate-item', `\`${text}\` is in the list twice.`);
      seen.add(text);
    }
    if (node.items.length < (shape.minItems ?? 0) && this.complete) {
      this.problems.error(node, 'empty-value', `\`${name}\` must not be empty.`);
    }
    if (node.items.length > (shape.maxItems ?? Infinity)) {
      this.problems.error(node, 'too-many', `\`${name}\` takes at most ${shape.maxItems ?? 0} items.`);
    }
  }

  private dict(node: MapNode, shape: DictShape, name: string): void {
    for (const { key, value } of node.entries) this.check(value, shape.values, `${name}.${key.text}`);
    for (const rule of shape.rules ?? []) rule(node, this.problems);
    if (node.entries.length < (shape.minEntries ?? 0) && this.complete) {
      this.problems.error(node, 'empty-value', `\`${name}\` must not be empty.`);
    }
    const surplus = node.entries[shape.maxEntries ?? Infinity];
    if (surplus) {
      const message = `\`${name}\` takes ${shape.maxEntries === 1 ? 'one entry' : `at most ${shape.maxEntries ?? 0} entries`} here.`;
      this.problems.error(surplus.key, 'too-many', message);
    }
  }

  private object(node: MapNode, shape: ObjectShape, name: string): void {
    for (const entry of node.entries) this.field(entry, node, shape, name);
    for (const rule of shape.rules ?? []) rule(node, this.problems);
    if (!this.complete) return;
    for (const required of shape.required ?? []) {
      if (node.entries.some((entry) => entry.key.text === required)) continue;
      this.problems.error(firstToken(node), 'missing-field', `\`${name}\` needs the field \`${required}\`.`);
    }
  }

  private field(entry: MapEntry, parent: MapNode, shape: ObjectShape, parentName: string): void {
    const { key, value } = entry;
    // hasOwn: a field called `constructor` must not find Object's.
    const field = Object.hasOwn(shape.fields, key.text) ? shape.fields[key.text] : undefined;
    if (!field) {
      if (!shape.open) this.unknownField(key, parent, shape, parentName);
      return;
    }
    if (shape.dropsNull && isNull(value)) return;
    const name = parentName === '' ? key.text : `${parentName}.${key.text}`;
    this.check(value, field.shape, name);
    this.effect(entry, field);
  }

  private unknownField(key: ScalarNode, parent: MapNode, shape: ObjectShape, parentName: string): void {
    const removed = Object.hasOwn(REMOVED_FIELDS, key.text) ? REMOVED_FIELDS[key.text] : undefined;
    if (removed && Object.hasOwn(shape.fields, removed.replacement)) {
      this.problems.error(key, 'removed-field', removed.message);
      return;
    }
    const misplaced = shape.misplaced ?? {};
    if (Object.hasOwn(misplaced, key.text)) {
      this.problems.error(key, 'unknown-field', misplaced[key.text] ?? '');
      return;
    }
    const elsewhere = belongsElsewhere(key.text, parentName);
    if (elsewhere !== undefined) {
      this.problems.error(key, 'unknown-field', elsewhere);
      return;
    }
    const taken = new Set(parent.entries.map((entry) => entry.key.text));
    const offered = Object.entries(shape.fields).filter(
      ([name, field]) => !field.internal && !taken.has(name),
    );
    const meant = closest(
      key.text,
      offered.map(([name]) => name),
    );
    const where = parentName === '' ? 'a task' : `\`${parentName}\``;
    const question = meant === undefined ? '' : ` Did you mean \`${meant}\`?`;
    const fix = meant === undefined ? undefined : { title: `Change to \`${meant}\``, text: meant };
    this.problems.error(key, 'unknown-field', `\`${key.text}\` is not a field of ${where}.${question}`, fix);
  }

  private effect({ key, value }: MapEntry, field: Field): void {
    if (value.kind === 'scalar' && key.text === 'cloud' && /^ssh$/i.test(value.text)) return;
    const foreign = key.text === 'infra' && value.kind === 'scalar' && !isOwnInfra(value.text);
    // A strategy by its name alone; `none`, that there is no recovery, holds everywhere.
    const strategy = key.text === 'job_recovery' && value.kind === 'scalar' && !/^none$/i.test(value.text);
    if (field.effect === 'own' && !foreign && !strategy) return;
    const because =
      field.noEffectBecause ??
      `\`${key.text}\` is for ${foreign ? 'SSH only as `ssh` or `ssh/POOL`' : 'clouds'}`;
    this.problems.add({
      severity: 'information',
      code: 'no-effect',
      message: `${because}: it has no effect on an SSH cluster.`,
      start: key.start,
      end: key.end,
      noEffect: true,
    });
  }
}

/** What to say of a field of `resources` at the top level, or the other way round. */
function belongsElsewhere(name: string, parentName: string): string | undefined {
  const isFieldOf = (table: FieldTable): boolean =>
    Object.hasOwn(table, name) && table[name]?.internal !== true;
  if (parentName === '' && isFieldOf(RESOURCE_FIELDS))
    return `\`${name}\` is a field of \`resources\`: write it there, indented.`;
  if (/^resources(?:\.(?:any_of|ordered))?$/.test(parentName) && isFieldOf(FIELDS))
    return `\`${name}\` is a field of the task: write it at the top level, without indentation.`;
  return undefined;
}

/** Whether a value is of the kind that a shape wants, never mind what is in it. */
function fits(node: TreeNode, shape: Shape): boolean {
  if (shape.type === 'any' || (shape.nullable && isNull(node))) return true;
  switch (shape.type) {
    case 'union':
      return shape.of.some((candidate) => fits(node, candidate));
    case 'list':
      return node.kind === 'list';
    case 'object':
    case 'dict':
      return node.kind === 'map';
    default:
      return node.kind === 'scalar' && fitsScalar(node, shape);
  }
}

/** Where a message about a whole mapping goes: its first key, rather than all its lines. */
function firstToken(node: MapNode): { start: number; end: number } {
  return node.entries[0]?.key ?? node;
}
