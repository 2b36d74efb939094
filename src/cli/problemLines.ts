import type { Problem } from '../task';
import type { Terminal } from './terminal';

/** A place in a text, from 1; columns count UTF-16 code units, as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Finds lines and columns of offsets into a text. */
export class Positions {
  private readonly starts: number[] = [0];

  constructor(text: string) {
    for (const { index } of text.matchAll(/\r\n|\r|\n/g)) {
      const length = text.startsWith('\r\n', index) ? 2 : 1;
      this.starts.push(index + length);
    }
  }

  at(offset: number): Position {
    let line = this.starts.findLastIndex((start) => start <= offset);
    if (line < 0) line = 0;
    return { line: line + 1, column: offset - (this.starts[line] ?? 0) + 1 };
  }
}

/** Problems as compilers print them: `file:line:column: severity: message (code)`. Mere information is left out. */
export function problemLines(
  terminal: Terminal,
  file: string,
  text: string,
  problems: readonly Problem[],
): string[] {
  const positions = new Positions(text);
  return problems
    .filter(({ severity }) => severity !== 'information')
    .map(({ severity, start, message, code }) => {
      const { line, column } = positions.at(start);
      const word = terminal.paintNote(severity, severity === 'error' ? 'bad' : 'odd');
      return `${file}:${line}:${column}: ${word}: ${message} (${code})`;
    });
}
