/** Anything the store refuses or fails to do. `message` is fit for a person; `code` is stable. */
export class StoreError extends Error {
  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The files were written by a newer version of the extension; nothing was changed. */
export class StoreVersionError extends StoreError {
  constructor(
    readonly file: string,
    readonly found: number,
    readonly supported: number,
  ) {
    super(
      'store-version',
      `${file} was written by a newer version of Cluster Queue (format ${found}; this version reads up to ` +
        `${supported}). Nothing was changed. Update the extension on this machine.`,
    );
  }
}

/** The files are damaged in a way that leaves no state to trust; nothing was changed. */
export class StoreCorruptError extends StoreError {
  constructor(
    readonly file: string,
    readonly problem: string,
  ) {
    super(
      'store-corrupt',
      `${file} is damaged: ${problem}. Nothing was changed. Restore the folder from a backup, ` +
        'or move it away to begin with an empty queue.',
    );
  }
}

/** A change could not be made durable and was taken back; the same change may be tried again. */
export class StoreWriteError extends StoreError {
  /** The system's code, e.g. `ENOSPC` or `EIO`; `UNKNOWN` when it gave none. */
  readonly systemCode: string;

  constructor(
    readonly file: string,
    cause: unknown,
  ) {
    const systemCode = systemCodeOf(cause);
    super('store-write', `${file} could not be written (${systemCode}): ${adviceFor(systemCode)}`, { cause });
    this.systemCode = systemCode;
  }
}

/** The files could not be read at all, e.g. for want of permission. */
export class StoreReadError extends StoreError {
  readonly systemCode: string;

  constructor(
    readonly file: string,
    cause: unknown,
  ) {
    const systemCode = systemCodeOf(cause);
    super('store-read', `${file} could not be read (${systemCode}). Check its permissions and the disk.`, {
      cause,
    });
    this.systemCode = systemCode;
  }
}

/** The change contradicts what is stored (an unknown or a repeated job); a fault of the caller, nothing was changed. */
export class StoreConflictError extends StoreError {
  constructor(message: string, options?: ErrorOptions) {
    super('store-conflict', message, options);
  }
}

/** The store was closed before the change arrived. */
export class StoreClosedError extends StoreError {
  constructor() {
    super('store-closed', 'The queue is shutting down; the change was not saved.');
  }
}

/** Another process has the store. */
export class StoreLockedError extends StoreError {
  constructor(
    readonly file: string,
    readonly pid: number,
    readonly host: string,
    /** False when the owner lives where this process cannot look (another machine or container). */
    readonly visible: boolean,
  ) {
    super(
      'store-locked',
      visible
        ? `The queue is in use by process ${pid} on this machine.`
        : `The queue is in use by process ${pid} on ${host}, in another container or on another machine, which cannot ` +
            `be checked from here. Close it there; if that container or machine is gone, delete ${file}.`,
    );
  }
}

/** The `code` of a system error; `UNKNOWN` for anything else. */
export function systemCodeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : 'UNKNOWN';
}

function adviceFor(systemCode: string): string {
  switch (systemCode) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'the disk is full. The change was not saved; free some space and try again.';
    case 'EROFS':
      return 'its file system is read-only. Nothing was saved; mount it for writing, or name another folder in CLUSTER_QUEUE_HOME.';
    case 'EACCES':
    case 'EPERM':
      return 'the folder may not be written to. The change was not saved; check its permissions and try again.';
    default:
      return 'the change was not saved. Check the disk and try again.';
  }
}
