/** A wish about a task that cannot be met, e.g. a bad override. The edge turns it into words. */
export class TaskError extends Error {
  override readonly name = 'TaskError';

  /**
   * @param code Stable and kebab-case; the same codes as `Problem.code`.
   * @param message What is wrong and what would be right, in plain words.
   * @param field The task field or override that is at fault.
   */
  constructor(
    readonly code: string,
    message: string,
    readonly field: string,
  ) {
    super(message);
  }
}
