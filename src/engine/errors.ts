/** The queue refuses; `code` is stable, the message is for a person. */
export class QueueError extends Error {
  constructor(
    readonly code:
      | 'no-cluster'
      | 'cluster-exists'
      | 'cluster-busy'
      | 'no-job'
      | 'not-waiting'
      | 'refused'
      | 'missing-values'
      | 'bad-name'
      | 'no-run'
      | 'workdir'
      | 'pools'
      // What a job left cannot be fetched.
      | 'outputs'
      // Another process has the queue, and it is of another version, or does not answer.
      | 'version'
      | 'unreachable',
    message: string,
  ) {
    super(message);
  }
}
