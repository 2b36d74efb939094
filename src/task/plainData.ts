import { booleanOf, numberOf, pythonText } from './scalar';
import type { TreeNode } from './tree';

/** Aliases can make a small file stand for a huge or endless value. */
const MOST_NODES = 20_000;

/** A value as plain data, dates as text. Throws `RangeError` when aliases blow it up. */
export function plainData(node: TreeNode, budget = { left: MOST_NODES }): unknown {
  spend(budget);
  if (node.kind === 'list') return node.items.map((item) => plainData(item, budget));
  if (node.kind === 'map') {
    return Object.fromEntries(node.entries.map(({ key, value }) => [key.text, plainData(value, budget)]));
  }
  switch (node.type) {
    case 'null':
      return null;
    case 'boolean':
      return booleanOf(node.text);
    case 'integer':
    case 'float':
      return numberOf(node.text);
    default:
      return node.text;
  }
}

/** `str()` of a value in Python, as SkyPilot passes it to the job's environment. Throws as `plainData`. */
export function pythonValueText(node: TreeNode): string {
  return node.kind === 'scalar' ? pythonText(node.type, node.text) : repr(node, { left: MOST_NODES });
}

function repr(node: TreeNode, budget: { left: number }): string {
  spend(budget);
  if (node.kind === 'list') return `[${node.items.map((item) => repr(item, budget)).join(', ')}]`;
  if (node.kind === 'map') {
    const entries = node.entries.map(({ key, value }) => `${repr(key, budget)}: ${repr(value, budget)}`);
    return `{${entries.join(', ')}}`;
  }
  return node.type === 'string' ? quoted(node.text) : pythonText(node.type, node.text);
}

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\t', '\\t')
    .replaceAll('\r', '\\r')
    .replaceAll('\0', '\\x00');
  return quote + (quote === "'" ? escaped.replaceAll("'", "\\'") : escaped) + quote;
}

function spend(budget: { left: number }): void {
  budget.left -= 1;
  if (budget.left < 0) throw new RangeError('too many nodes');
}
