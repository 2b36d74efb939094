import { TASK_SHAPE } from './fields';
import type { DictShape, Field, ListShape, ObjectShape, ScalarShape, Shape } from './shape';

/** JSON Schema (draft 7), as far as it is used here. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The JSON Schema of one task document, for editors without this extension. It knows types, names, values and bounds;
 * the grammars inside texts (accelerators, sizes) and the rules between fields only `parseTask` knows.
 */
export function jsonSchema(): JsonSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Cluster Queue task',
    description: 'A SkyPilot task file, as Cluster Queue reads it.',
    ...schemaOf(TASK_SHAPE),
  };
}

function schemaOf(shape: Shape): JsonSchema {
  const own = ownSchema(shape);
  return shape.nullable && shape.type !== 'any' ? { anyOf: [own, { type: 'null' }] } : own;
}

function ownSchema(shape: Shape): JsonSchema {
  switch (shape.type) {
    case 'any':
      return {};
    case 'union':
      return { anyOf: shape.of.map(schemaOf) };
    case 'list':
      return listSchema(shape);
    case 'object':
      return objectSchema(shape);
    case 'dict':
      return dictSchema(shape);
    default:
      return scalarSchema(shape);
  }
}

function scalarSchema(shape: ScalarShape): JsonSchema {
  const { type, oneOf, anyCase, pattern } = shape;
  // JSON Schema has no enumeration without case.
  const anyCasePattern = oneOf && anyCase ? { pattern: `^(?:${oneOf.map(withoutCase).join('|')})$` } : {};
  return defined({
    type,
    enum: oneOf && !anyCase ? oneOf : undefined,
    pattern: pattern?.source,
    ...anyCasePattern,
    minimum: shape.min,
    maximum: shape.max,
    exclusiveMinimum: shape.above,
    minLength: shape.minLength,
    maxLength: shape.maxLength,
  });
}

function withoutCase(word: string): string {
  return word.replace(/[a-z]/gi, (letter) => `[${letter.toLowerCase()}${letter.toUpperCase()}]`);
}

function listSchema(shape: ListShape): JsonSchema {
  return defined({
    type: 'array',
    items: schemaOf(shape.items),
    minItems: shape.minItems,
    maxItems: shape.maxItems,
    uniqueItems: shape.unique,
  });
}

function dictSchema(shape: DictShape): JsonSchema {
  return defined({
    type: 'object',
    additionalProperties: schemaOf(shape.values),
    minProperties: shape.minEntries,
    maxProperties: shape.maxEntries,
  });
}

function objectSchema(shape: ObjectShape): JsonSchema {
  const properties = Object.entries(shape.fields).map(([name, field]) => [name, fieldSchema(field, shape)]);
  return defined({
    type: 'object',
    properties: Object.fromEntries(properties),
    required: shape.required,
    additionalProperties: shape.open === true,
  });
}

function fieldSchema(field: Field, parent: ObjectShape): JsonSchema {
  const schema = schemaOf(field.shape);
  const nullable = parent.dropsNull && field.shape.type !== 'any' && !field.shape.nullable;
  return {
    ...(nullable ? { anyOf: [schema, { type: 'null' }] } : schema),
    ...(field.internal ? {} : { description: describe(field) }),
  };
}

function describe({ doc, effect }: Field): string {
  return effect === 'own' ? doc : `${doc} Has no effect on an SSH cluster.`;
}

function defined(schema: Record<string, unknown>): JsonSchema {
  return Object.fromEntries(Object.entries(schema).filter(([, value]) => value !== undefined));
}
