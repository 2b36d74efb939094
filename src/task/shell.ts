import { treesOf } from './explainField';
import { indentOf, lineEnd, lineStart, nextLine } from './lines';
import type { Problem } from './problem';
import { valueOf, type ScalarNode, type Span } from './tree';

/** A Bash parser, such as that of the package unbash; positions are UTF-16 offsets into the script. */
export type ShellParser = (script: string) => {
  readonly errors?: readonly { readonly message: string; readonly pos: number }[];
};

/**
 * Syntax errors of `setup` and `run`, as warnings: Bash would run the script up to there. SkyPilot does not look. At
 * most one for each script: later ones are its consequences.
 */
export function shellProblems(text: string, parse: ShellParser): Problem[] {
  return treesOf(text).flatMap((tree) => {
    if (tree.kind !== 'map') return [];
    return ['setup', 'run'].flatMap((field) => {
      const script = valueOf(tree, field);
      if (script?.kind !== 'scalar' || script.type !== 'string') return [];
      const error = parse(script.text).errors?.[0];
      return error ? [problemOf(text, field, script, error)] : [];
    });
  });
}

function problemOf(
  text: string,
  field: string,
  script: ScalarNode,
  error: { message: string; pos: number },
): Problem {
  const span = tokenAt(text, script, error.pos);
  const message = `Bash cannot read this script of \`${field}\`: ${error.message}.`;
  return { severity: 'warning', code: 'shell-syntax', message, ...span };
}

/** The word at a position of a script, or the last one before it; where that cannot be told, the field's first line. */
function tokenAt(text: string, script: ScalarNode, position: number): Span {
  const before = script.text.slice(0, position);
  const atEnd = script.text.slice(position).trim() === '';
  const start = atEnd ? before.trimEnd().search(/\S+$/) : position + indentOf(script.text, position);
  const word = /^\s*\S+/.exec(script.text.slice(Math.max(0, start)))?.[0] ?? '';
  const from = offsetIn(text, script, Math.max(0, start));
  if (from === undefined)
    return { start: script.start, end: Math.max(script.start + 1, lineEnd(text, script.start)) };
  return { start: from, end: Math.min(text.length, from + Math.max(1, word.length)) };
}

/** Where a character of a script stands in the file; undefined where folding or escapes have moved it. */
function offsetIn(text: string, script: ScalarNode, position: number): number | undefined {
  if (script.style === 'block') return offsetInBlock(text, script, position);
  const first = script.style === 'quoted' ? script.start + 1 : script.start;
  return text.startsWith(script.text, first) ? first + position : undefined;
}

/** In a literal block each line of the script is a line of the file, indented. */
function offsetInBlock(text: string, script: ScalarNode, position: number): number | undefined {
  const header = text.slice(script.start, lineEnd(text, script.start));
  if (!header.startsWith('|') || /\d/.test(header.replace(/#.*/, ''))) return undefined;
  const lines = script.text.slice(0, position).split('\n');
  let line = nextLine(text, script.start);
  let indent: number | undefined;
  for (let index = 0; index < lines.length; index += 1) {
    const blank = text.slice(line, lineEnd(text, line)).trim() === '';
    if (indent === undefined && !blank) indent = indentOf(text, line);
    if (index < lines.length - 1) line = nextLine(text, line);
  }
  const column = lines.at(-1)?.length ?? 0;
  const offset = line + (indent ?? indentOf(text, line)) + column;
  return offset < text.length && lineStart(text, offset) === line ? offset : undefined;
}
