import type { Span } from './tree';

/** Start of the line that holds an offset. */
export function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

/** End of the line that holds an offset, before its line break. */
export function lineEnd(text: string, offset: number): number {
  const newline = text.indexOf('\n', offset);
  const end = newline === -1 ? text.length : newline;
  return end > offset && text[end - 1] === '\r' ? end - 1 : end;
}

/** Width of the white space that a line starts with. */
export function indentOf(text: string, start: number): number {
  let end = start;
  while (text[end] === ' ' || text[end] === '\t') end += 1;
  return end - start;
}

/** From an offset to the last visible character of its line, without a comment. */
export function restOfLine(text: string, offset: number): Span {
  const line = text.slice(offset, lineEnd(text, offset));
  const content = line.replace(/\s+#.*$/, '').trimEnd();
  return { start: offset, end: offset + Math.max(content.length, line === '' ? 0 : 1) };
}

/** The lines of an entry: the one that holds the offset, and those below it that are indented further. */
export function entryLines(text: string, offset: number): Span {
  const start = lineStart(text, offset);
  const indent = indentOf(text, start);
  let end = nextLine(text, start);
  while (end < text.length) {
    const blank = /^[ \t]*\r?$/.test(text.slice(end, lineEnd(text, end)));
    if (!blank && indentOf(text, end) <= indent) break;
    end = nextLine(text, end);
  }
  return { start, end };
}

/** Start of the line after the one that holds an offset; the text's length when there is none. */
export function nextLine(text: string, offset: number): number {
  const newline = text.indexOf('\n', offset);
  return newline === -1 ? text.length : newline + 1;
}

/** The text with a part of it made invisible to YAML; offsets stay as they are. */
export function blank(text: string, span: Span): string {
  const hidden = text.slice(span.start, span.end).replace(/[^\r\n]/g, ' ');
  return text.slice(0, span.start) + hidden + text.slice(span.end);
}
