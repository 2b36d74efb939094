export interface ServerOptions {
  /** Settings, state and logs; made when missing. */
  userDir: string;
  /** The folder that the workbench opens. */
  folder?: string;
  /** An extension to load from its source folder. */
  extensionDir?: string;
  /** Module whose `run()` the extension host calls. */
  testsPath?: string;
  /** Have the extension as an installed one: no test driver, a short address. */
  install?: boolean;
  settings?: Record<string, unknown>;
  /** Environment of the server and so of the extension. */
  env?: NodeJS.ProcessEnv;
  port?: number;
}

export function startServer(options: ServerOptions): Promise<{ url: string; stop: () => Promise<void> }>;
