export interface ServerOptions {
  /** Settings, state and logs; made when missing. */
  userDir: string;
  /** The folder that the workbench opens. */
  folder?: string;
  /** An extension to load from its source folder. */
  extensionDir?: string;
  /** Folders of extensions to install besides. */
  besides?: readonly string[];
  /** Module whose `run()` the extension host calls. */
  testsPath?: string;
  /** Have the extension as an installed one: no test driver, a short address. */
  install?: boolean;
  settings?: Record<string, unknown>;
  /** Environment of the server and so of the extension. */
  env?: NodeJS.ProcessEnv;
  port?: number;
}

export interface RunningServer {
  /** What to open, its token included. */
  url: string;
  /** Ends all that was started. */
  stop: () => Promise<void>;
  /** Resolves when the server is over, stopped or by itself. */
  ended: Promise<void>;
}

export function startServer(options: ServerOptions): Promise<RunningServer>;
