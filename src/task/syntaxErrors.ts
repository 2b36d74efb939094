import { isCollection, isScalar, visit, type Document, type ErrorCode, type Node } from 'yaml';
import { FIELDS } from './fields';
import { entryLines, indentOf, lineEnd, lineStart, nextLine, restOfLine } from './lines';
import type { Problem } from './problem';
import { RESOURCE_FIELDS } from './resourceFields';
import { tabAfterDash } from './tabs';
import type { Span } from './tree';

/** A syntax error in plain words, and the lines to leave out to read the rest. */
export interface Defect {
  readonly problem: Problem;
  readonly leaveOut: Span;
}

/** What the yaml package says, and the offset where it says so. */
export interface SyntaxFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly at: number;
}

interface Fix extends Span {
  readonly title: string;
  readonly text: string;
}

/** Puts one of the yaml package's errors into plain words, at the place to mend rather than where the parser gave up. */
export function explain(text: string, error: SyntaxFailure, documents: readonly Document.Parsed[]): Defect {
  const at = Math.min(error.at, Math.max(0, text.length - 1));
  switch (error.code) {
    case 'MISSING_CHAR':
      if (/quote/.test(error.message)) return unclosedQuote(text, at, documents);
      if (/Missing , or :|Missing ,/.test(error.message))
        return defect(text, 'missing-comma', restOfLine(text, at), COMMA);
      if (/map values/.test(error.message)) return notAField(text, contentStart(text, at));
      break;
    case 'TAB_AS_INDENT':
      return tab(text, at);
    case 'BLOCK_AS_IMPLICIT_KEY':
      if (/sequence/.test(error.message)) return badIndent(text, nextLineAt(text, at));
      return nested(text, at);
    case 'MULTILINE_IMPLICIT_KEY':
      return notAField(text, contentStart(text, at));
    case 'BLOCK_IN_FLOW':
      return defect(text, 'missing-comma', restOfLine(text, at), COMMA);
    case 'BAD_INDENT':
      if (/Flow/.test(error.message)) return unclosedBracket(text, at, documents);
      return badIndent(text, at);
    case 'BAD_SCALAR_START':
    case 'BAD_ALIAS':
      return badStart(text, at);
    case 'BAD_DQ_ESCAPE':
      return badEscape(text, at);
    case 'UNEXPECTED_TOKEN':
      if (/flow-(?:seq|map)-end/.test(error.message)) {
        return defect(text, 'unexpected-bracket', { start: at, end: at + 1 }, BRACKET, remove(at, at + 1));
      }
      if (/at node end/.test(error.message))
        return defect(text, 'unexpected-text', restOfLine(text, at), AFTER_VALUE);
      if (/Block scalar header/.test(error.message) || isAfterBar(text, at)) {
        return defect(text, 'unexpected-text', restOfLine(text, at), AFTER_BAR);
      }
      if (/block-seq-ind on same line/.test(error.message))
        return defect(text, 'unexpected-text', restOfLine(text, at), LIST_ON_LINE);
      break;
    default:
      if (/Flow (?:map|sequence)|end with/.test(error.message)) return unclosedBracket(text, at, documents);
  }
  return defect(text, 'bad-yaml', restOfLine(text, at), `YAML cannot read this: ${error.message}.`);
}

const BRACKET = 'This bracket closes nothing: remove it, or open it before.';
const COMMA = 'A comma is missing here, between two entries in brackets.';
const AFTER_VALUE = 'The value ended before this: put all of it in one pair of quotes, or remove the rest.';
const AFTER_BAR = 'Nothing may follow `|` or `>` on its line: the text goes on the lines below, indented.';
const LIST_ON_LINE = 'A list begins on the line below its field, or is written in brackets: `[a, b]`.';

function isAfterBar(text: string, at: number): boolean {
  return /:[ \t]+[|>][-+0-9]*[ \t]+$/.test(text.slice(lineStart(text, at), at));
}

function defect(text: string, code: string, span: Span, message: string, fix?: Fix, leaveOut?: Span): Defect {
  const problem: Problem = {
    severity: 'error',
    code,
    message,
    start: Math.min(span.start, text.length),
    end: Math.min(span.end, text.length),
    ...(fix && { fixes: [fix] }),
  };
  return { problem, leaveOut: leaveOut ?? entryLines(text, span.start) };
}

function remove(start: number, end: number): Fix {
  return { title: 'Remove it', start, end, text: '' };
}

function contentStart(text: string, at: number): number {
  const start = lineStart(text, at);
  return Math.max(at, start + indentOf(text, start));
}

function nextLineAt(text: string, at: number): number {
  const line = text.slice(at, lineEnd(text, at));
  return line.trim() === '' ? nextLine(text, at) : at;
}

/** The innermost node around an offset that a predicate wants. */
function nodeAround(
  documents: readonly Document.Parsed[],
  at: number,
  wanted: (node: Node) => boolean,
): Span | undefined {
  let found: Span | undefined;
  for (const document of documents) {
    visit(document, (_key, node) => {
      if (!isScalar(node) && !isCollection(node)) return;
      const range = node.range;
      if (range && range[0] <= at && at <= range[2] + 1 && wanted(node))
        found = { start: range[0], end: range[1] };
    });
  }
  return found;
}

function unclosedQuote(text: string, at: number, documents: readonly Document.Parsed[]): Defect {
  const scalar = nodeAround(documents, at, (node) => isScalar(node) && (node.type ?? '').startsWith('QUOTE'));
  const start = scalar?.start ?? contentStart(text, lineStart(text, at));
  const span = restOfLine(text, start);
  const quote = text[start] ?? '"';
  const fix = { title: `Close the quote with ${quote}`, start: span.end, end: span.end, text: quote };
  return defect(text, 'unclosed-quote', span, `This ${quote} is never closed.`, fix, entryLines(text, start));
}

function unclosedBracket(text: string, at: number, documents: readonly Document.Parsed[]): Defect {
  const isFlow = (node: Node) => isCollection(node) && node.flow === true;
  const flow = nodeAround(documents, at, isFlow) ?? {
    start: contentStart(text, lineStart(text, at)),
    end: at,
  };
  const open = text[flow.start] ?? '[';
  const close = open === '{' ? '}' : ']';
  const span = restOfLine(text, flow.start);
  const fix = { title: `Close it with ${close}`, start: span.end, end: span.end, text: close };
  return defect(
    text,
    'unclosed-bracket',
    span,
    `This ${open} is never closed with ${close}.`,
    fix,
    entryLines(text, flow.start),
  );
}

/** Lines indented with tabs that follow one another are one defect, and one fix. */
function tab(text: string, at: number): Defect {
  const start = lineStart(text, at);
  const dash = /^ *(?:- *)+(?=\t)/.exec(text.slice(start, lineEnd(text, start)));
  if (dash) {
    const from = start + dash[0].length;
    return { problem: tabAfterDash(from, from + indentOf(text, from)), leaveOut: entryLines(text, start) };
  }
  let end = start;
  while (end < text.length && /^[ \t]*\t/.test(text.slice(end, lineEnd(text, end))))
    end = nextLine(text, end);
  const lines = text.slice(start, end);
  const spaces = lines.replace(/^[ \t]+/gm, (indent) => indent.replaceAll('\t', '  '));
  const span = { start, end: start + indentOf(text, start) };
  const message = 'YAML does not allow tabs in the indentation: use spaces.';
  return defect(
    text,
    'tab',
    span,
    message,
    { title: 'Change tabs to spaces', start, end, text: spaces },
    { start, end },
  );
}

/** `accelerators: V100: 4` on one line; or a line that is indented too far, below a value. */
function nested(text: string, at: number): Defect {
  const span = restOfLine(text, at);
  const value = text.slice(span.start, span.end);
  if (!/:(?:\s|$)/.test(value)) return badIndent(text, nextLine(text, at), lineStart(text, at));
  const count = /^([\w.-]+):\s+(\d+(?:\.\d+)?)$/.exec(value);
  const written = count ? `${count[1] ?? ''}:${count[2] ?? ''}` : JSON.stringify(value);
  const message = count
    ? `After a colon and a space YAML begins another mapping: write \`${written}\`.`
    : 'A value with a colon and a space in it must be in quotes, or in a block after `|`.';
  const fix = { title: count ? `Write \`${written}\`` : 'Put it in quotes', ...span, text: written };
  return defect(text, 'nested-mapping', span, message, fix);
}

function badIndent(text: string, at: number, siblingLine?: number): Defect {
  const start = lineStart(text, at);
  const indent = indentOf(text, start);
  // An eye does not see what is wrong with it.
  if (text.slice(start, start + indent).includes('\t')) return tab(text, at);
  const content = restOfLine(text, start + indent);
  const message =
    siblingLine === undefined
      ? 'This line is not in line with the others of its block.'
      : 'This line is indented below a line that already has a value.';
  const fix =
    siblingLine === undefined ? undefined : indentFix(text, start, indent, indentOf(text, siblingLine));
  const key = /^[^\s:]+/.exec(text.slice(content.start, content.end))?.[0].length ?? 1;
  return defect(text, 'bad-indentation', { start, end: content.start + key }, message, fix);
}

function indentFix(text: string, start: number, indent: number, wanted: number): Fix {
  const spaces = ' '.repeat(wanted);
  return {
    title: `Indent by ${wanted}`,
    start,
    end: start + Math.min(indent, text.length - start),
    text: spaces,
  };
}

/** A line without `key:`, or without the space after its colon. */
function notAField(text: string, start: number): Defect {
  const span = restOfLine(text, start);
  const line = text.slice(span.start, span.end);
  const glued = /^([\w-]+):(\S.*)$/.exec(line);
  if (glued) {
    const colon = span.start + (glued[1] ?? '').length + 1;
    const fix = { title: 'Insert a space', start: colon, end: colon, text: ' ' };
    return defect(text, 'missing-space', span, 'There must be a space after the colon.', fix);
  }
  if (Object.hasOwn(FIELDS, line) || Object.hasOwn(RESOURCE_FIELDS, line)) {
    const fix = { title: 'Insert a colon', start: span.end, end: span.end, text: ':' };
    return defect(text, 'missing-colon', span, `There must be a colon after \`${line}\`.`, fix);
  }
  const above = text.slice(0, lineStart(text, start)).trimEnd();
  const message = /[|>][-+]?$/.test(above)
    ? 'The lines of the text after `|` must be indented below its field.'
    : 'This line is not `field: value`. The lines of a longer text must be indented below its field.';
  return defect(text, 'not-a-field', span, message);
}

function badStart(text: string, at: number): Defect {
  const span = restOfLine(text, at);
  const written = text.slice(span.start, span.end);
  const fix = { title: 'Put it in quotes', ...span, text: JSON.stringify(written) };
  return defect(
    text,
    'bad-start',
    span,
    `A value that starts with ${written.startsWith('`') ? 'a backtick' : `\`${written.charAt(0)}\``} must be in quotes.`,
    fix,
  );
}

function badEscape(text: string, at: number): Defect {
  const span = { start: at, end: Math.min(at + 2, text.length) };
  const message = `\`${text.slice(span.start, span.end)}\` is no escape in double quotes: double the backslash, or use single quotes.`;
  return defect(text, 'bad-escape', span, message, {
    title: 'Double the backslash',
    start: at,
    end: at,
    text: '\\',
  });
}
