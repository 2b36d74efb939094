import type { Problem } from './problem';
import type { Span } from './tree';

/** A fix that replaces the problem's own range. */
export interface Replacement {
  readonly title: string;
  readonly text: string;
}

/** Collects problems; the same one twice (a shared anchor) counts once. */
export class ProblemList {
  private readonly byKey = new Map<string, Problem>();

  add(problem: Problem): void {
    const key = `${problem.start}:${problem.end}:${problem.code}`;
    if (!this.byKey.has(key)) this.byKey.set(key, problem);
  }

  error(span: Span, code: string, message: string, fix?: Replacement): void {
    this.report('error', span, code, message, fix);
  }

  /** Adds a problem; a fix replaces exactly the problem's range. */
  report(severity: Problem['severity'], span: Span, code: string, message: string, fix?: Replacement): void {
    const { start, end } = span;
    this.add({ severity, code, message, start, end, ...(fix && { fixes: [{ ...fix, start, end }] }) });
  }

  get hasErrors(): boolean {
    return [...this.byKey.values()].some((problem) => problem.severity === 'error');
  }

  /** In text order. */
  sorted(): Problem[] {
    return [...this.byKey.values()].sort((a, b) => a.start - b.start || a.end - b.end);
  }
}
