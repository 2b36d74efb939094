import type { Check } from './grammar';
import type { ProblemList } from './problems';
import type { MapNode } from './tree';

/** What a value may be. Data: it drives the check, completion, hover, the JSON schema and the reference page. */
export type Shape = ScalarShape | ListShape | ObjectShape | DictShape | UnionShape | AnyShape;

interface Common {
  /** A null is as good as a value, even where nulls are not simply dropped. */
  readonly nullable?: boolean;
}

export interface AnyShape extends Common {
  readonly type: 'any';
}

export interface ScalarShape extends Common {
  readonly type: 'string' | 'integer' | 'number' | 'boolean';
  /** The only values, and whether their case matters. */
  readonly oneOf?: readonly string[];
  readonly anyCase?: boolean;
  readonly pattern?: RegExp;
  /** What the pattern asks for, as the rest of "write …". */
  readonly patternSays?: string;
  readonly min?: number;
  readonly max?: number;
  /** Exclusive minimum. */
  readonly above?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  /** A grammar of its own, given Python's `str()` of the value. */
  readonly check?: Check;
}

export interface ListShape extends Common {
  readonly type: 'list';
  readonly items: Shape;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly unique?: boolean;
}

export interface ObjectShape extends Common {
  readonly type: 'object';
  readonly fields: FieldTable;
  readonly required?: readonly string[];
  /** What to say of fields that belong elsewhere. */
  readonly misplaced?: Readonly<Record<string, string>>;
  /** Unknown fields pass. */
  readonly open?: boolean;
  /** A field with the value null counts as absent. */
  readonly dropsNull?: boolean;
  /** Rules between fields. */
  readonly rules?: readonly Rule[];
}

export interface DictShape extends Common {
  readonly type: 'dict';
  readonly values: Shape;
  readonly checkKey?: Check;
  readonly minEntries?: number;
  readonly maxEntries?: number;
  readonly rules?: readonly Rule[];
}

export interface UnionShape extends Common {
  readonly type: 'union';
  readonly of: readonly Shape[];
  /** In words, as the rest of "must be …". */
  readonly expected: string;
  readonly check?: Check;
}

/** A rule over the fields of one mapping. */
export type Rule = (map: MapNode, problems: ProblemList) => void;

export type FieldTable = Readonly<Record<string, Field>>;

export interface Field {
  readonly shape: Shape;
  /** One to three sentences of Markdown: what it does on one's own nodes. */
  readonly doc: string;
  /** YAML, as it would stand in a file. */
  readonly example: string;
  /** `none-on-ssh`: means something in a cloud, nothing on one's own nodes. */
  readonly effect: 'own' | 'none-on-ssh';
  /** Written by SkyPilot itself: accepted, but neither offered nor documented. */
  readonly internal?: boolean;
  /** Another name of this field of the same table. */
  readonly aliasOf?: string;
  /** Values worth offering; the full set where the shape has `oneOf`. */
  readonly values?: readonly string[];
  /** What completion inserts after `name:`, as a VS Code snippet; the shape decides when absent. */
  readonly snippet?: string;
  /** Anchor of the field on SkyPilot's reference page. */
  readonly anchor?: string;
  /** Says why it has no effect, where the plain sentence is not enough. */
  readonly noEffectBecause?: string;
}

/** Fields that SkyPilot once had, and what to write instead. */
export interface RemovedField {
  readonly replacement: string;
  readonly message: string;
}

/** A field that SkyPilot writes itself: accepted, and not offered. */
export const INTERNAL: Field = {
  shape: { type: 'any' },
  doc: 'Written by SkyPilot itself.',
  example: '',
  effect: 'own',
  internal: true,
};
