import * as vscode from 'vscode';
import { Engine, type QueueChange } from '../engine';
import { readSettings, stateFolder } from './settings';
import { windowPrompter } from './prompter';

/** Whether this window has the queue. */
export type QueueState =
  | { readonly state: 'closed' | 'opening' }
  | { readonly state: 'open'; readonly engine: Engine }
  | { readonly state: 'failed'; readonly message: string };

/** Name of the cluster that is this machine itself. */
export const LOCAL = 'local';

const ALIVE_KEY = 'jobsAlive';

/** The queue as this window has it: opened when it is first needed, closed with the window. */
export class WindowQueue implements vscode.Disposable {
  private current: QueueState = { state: 'closed' };
  private opening: Promise<Engine> | undefined;
  private readonly stateEmitter = new vscode.EventEmitter<QueueState>();
  private readonly changeEmitter = new vscode.EventEmitter<QueueChange>();
  readonly onDidChangeState = this.stateEmitter.event;
  readonly onDidChange = this.changeEmitter.event;

  constructor(
    private readonly memory: vscode.Memento,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  get state(): QueueState {
    return this.current;
  }

  /** The engine if it is open. */
  get engine(): Engine | undefined {
    return this.current.state === 'open' ? this.current.engine : undefined;
  }

  /** True when jobs were alive as a window last closed the queue. */
  get leftAlive(): boolean {
    return this.memory.get(ALIVE_KEY, false);
  }

  /** The engine; opens it at the first call, and again after a failure. @throws StoreError */
  open(): Promise<Engine> {
    this.opening ??= this.start().catch((error: unknown) => {
      this.opening = undefined;
      const message = error instanceof Error ? error.message : String(error);
      this.log.error(message);
      this.set({ state: 'failed', message });
      throw error;
    });
    return this.opening;
  }

  dispose(): void {
    void this.close();
    this.stateEmitter.dispose();
    this.changeEmitter.dispose();
  }

  /** Stops the engine and lets another window have the queue. Jobs go on. */
  async close(): Promise<void> {
    const opening = this.opening;
    this.opening = undefined;
    this.current = { state: 'closed' };
    const engine = await opening?.catch(() => undefined);
    await engine?.close();
  }

  private async start(): Promise<Engine> {
    this.set({ state: 'opening' });
    const { sshConfigFile, graceSeconds, virtualGpus } = readSettings();
    const engine = await Engine.open({
      home: stateFolder(),
      prompter: windowPrompter,
      graceS: graceSeconds,
      ...(sshConfigFile === undefined ? {} : { sshConfigFile }),
    });
    await engine.defineLocal(LOCAL, virtualGpus);
    engine.onDidChange((change) => {
      void this.memory.update(ALIVE_KEY, engine.busy);
      this.changeEmitter.fire(change);
    });
    engine.onTrouble((error) => {
      this.log.error(error.message);
      void vscode.window.showErrorMessage(error.message);
    });
    if (engine.repair) this.log.warn(JSON.stringify(engine.repair));
    this.set({ state: 'open', engine });
    return engine;
  }

  private set(state: QueueState): void {
    this.current = state;
    void vscode.commands.executeCommand('setContext', 'clusterQueue.state', state.state);
    this.stateEmitter.fire(state);
  }
}
