/** Something to say about a place in a task file. Offsets are UTF-16 code units into the text, end exclusive. */
export interface Problem {
  readonly severity: 'error' | 'warning' | 'information';
  /** Stable and kebab-case, e.g. `unknown-field`; documented in docs/task-yaml.md. */
  readonly code: string;
  /** What is wrong and what would be right, in plain words. */
  readonly message: string;
  readonly start: number;
  readonly end: number;
  /** The field is legal but does nothing here: the editor fades it. */
  readonly noEffect?: boolean;
  readonly fixes?: readonly ProblemFix[];
}

/** A replacement that makes the problem go away. */
export interface ProblemFix {
  readonly title: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}
