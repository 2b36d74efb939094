import { parseAllDocuments, type Document } from 'yaml';
import { blank } from './lines';
import type { ProblemList } from './problems';
import { explain, type SyntaxFailure } from './syntaxErrors';

/** More defects than this in one file are of no use to a reader. */
const MOST_DEFECTS = 20;
/** Each defect costs another parse: a large file is given up sooner, so that it never takes long. */
const MOST_REREAD = 100_000;
/** No task file is larger; YAML of this size would hold up the editor. */
export const MOST_CHARACTERS = 1_000_000;
/** Deeper nesting is no task, and would overflow the parser's stack. */
const DEEPEST = 200;

export interface ReadYaml {
  readonly documents: readonly Document.Parsed[];
  /** False when lines had to be left out. */
  readonly complete: boolean;
}

/**
 * Reads YAML that may be broken. Each syntax error is reported at the place to mend, its lines are left out, and the
 * rest is read again, so that one mistake is one message and the rest of the file is still checked.
 */
export function readYaml(text: string, problems: ProblemList): ReadYaml {
  const obstacle = unreadable(text);
  if (obstacle) {
    problems.error({ start: 0, end: firstLineEnd(text) }, obstacle.code, obstacle.message);
    return { documents: [], complete: false };
  }
  let readable = reportControlCharacters(text, problems);
  let complete = readable === text;
  const most = Math.max(2, Math.min(MOST_DEFECTS, MOST_REREAD / text.length));
  for (let defects = 0; defects < most; defects += 1) {
    const documents = compose(readable);
    const error = firstError(documents);
    if (!error) return { documents, complete };
    const defect = explain(readable, error, documents);
    problems.add(defect.problem);
    const shorter = blank(readable, defect.leaveOut);
    // A defect without a line to leave out (an unexpected end) cannot be got round.
    if (shorter === readable) break;
    readable = shorter;
    complete = false;
  }
  return { documents: [], complete: false };
}

function unreadable(text: string): { code: string; message: string } | undefined {
  if (text.length > MOST_CHARACTERS) {
    const message = `This file is too large for a task (${(text.length / 1e6).toFixed(1)} MB; at most 1 MB): it is not checked.`;
    return { code: 'too-large', message };
  }
  if (deepest(text) > DEEPEST) {
    return { code: 'too-deep', message: 'This file is nested too deeply for a task: it is not checked.' };
  }
  return undefined;
}

/** An upper bound of the nesting: brackets left open, or indicators (`- - -`) on one line. */
function deepest(text: string): number {
  let open = 0;
  let most = 0;
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index];
    if (char === '[' || char === '{') open += 1;
    else if (char === ']' || char === '}') open = Math.max(0, open - 1);
    else continue;
    most = Math.max(most, open);
  }
  const compact = /^[ ]*(?:[-?:] +){201,}/m.test(text) ? DEEPEST + 1 : 0;
  const indented = / {400}[^ ]/.test(text) ? deepestIndent(text) : 0;
  return Math.max(most, compact, indented);
}

/** How many ever deeper lines follow one another. */
function deepestIndent(text: string): number {
  const stack: number[] = [];
  let most = 0;
  for (const [, spaces = ''] of text.matchAll(/^( *)[^ \r\n]/gm)) {
    while (stack.length > 0 && (stack.at(-1) ?? 0) >= spaces.length) stack.pop();
    stack.push(spaces.length);
    most = Math.max(most, stack.length);
  }
  return most;
}

function firstLineEnd(text: string): number {
  return Math.min(/^[^\r\n]*/.exec(text.slice(0, 200))?.[0].length ?? 0, 200);
}

/** Controls but tab and line breaks, and the two non-characters. */
const CONTROL = /(?![\t\n\r\u0085])[\p{Cc}\ufffe\uffff]/gu;

/** YAML forbids them, and SkyPilot refuses the file; the yaml package does not look. */
function reportControlCharacters(text: string, problems: ProblemList): string {
  return text.replace(CONTROL, (char, start: number) => {
    const code = char.charCodeAt(0).toString(16).padStart(4, '0').toUpperCase();
    const message = `YAML does not allow the invisible control character U+${code}: remove it.`;
    problems.error({ start, end: start + 1 }, 'control-character', message, { title: 'Remove it', text: '' });
    // Inside a word a space would make a second defect of it.
    return /\S/.test(text.charAt(start - 1)) && /\S/.test(text.charAt(start + 1)) ? 'x' : ' ';
  });
}

function compose(text: string): Document.Parsed[] {
  // Scalars are read as text: scalar.ts says what they mean to SkyPilot.
  return [
    ...parseAllDocuments(text, {
      schema: 'failsafe',
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
    }),
  ];
}

/** The first error of the text: later ones are often its consequences. */
function firstError(documents: readonly Document.Parsed[]): SyntaxFailure | undefined {
  let first: SyntaxFailure | undefined;
  for (const { errors } of documents) {
    for (const { code, message, pos } of errors)
      if (!first || pos[0] < first.at) first = { code, message, at: pos[0] };
  }
  return first;
}
