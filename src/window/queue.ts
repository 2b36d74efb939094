import * as vscode from 'vscode';
import type { Queue } from '../control';
import { stateFolder } from '../control/home';
import { VERSION } from '../control/version';
import type { QueueChange } from '../engine';
import { QueueError } from '../engine/errors';
import type { Prompter } from '../transport';
import { readSettings } from './settings';

/** Whether this window has the queue. */
export type QueueState =
  | { readonly state: 'closed' | 'opening' }
  | { readonly state: 'open'; readonly queue: Queue }
  | { readonly state: 'failed'; readonly message: string };

/** Name of the cluster that is this machine itself. */
export const LOCAL = 'local';

const ALIVE_KEY = 'jobsAlive';

/** The queue as this window has it: opened when it is first needed, closed with the window. */
export class WindowQueue implements vscode.Disposable {
  private current: QueueState = { state: 'closed' };
  private opening: Promise<Queue> | undefined;
  private readonly stateEmitter = new vscode.EventEmitter<QueueState>();
  private readonly changeEmitter = new vscode.EventEmitter<QueueChange>();
  readonly onDidChangeState = this.stateEmitter.event;
  readonly onDidChange = this.changeEmitter.event;

  constructor(
    private readonly memory: vscode.Memento,
    private readonly log: vscode.LogOutputChannel,
    private readonly prompter: Prompter,
  ) {}

  get state(): QueueState {
    return this.current;
  }

  /** The queue if it is open. */
  get queue(): Queue | undefined {
    return this.current.state === 'open' ? this.current.queue : undefined;
  }

  /** True when jobs were alive as a window last closed the queue. */
  get leftAlive(): boolean {
    return this.memory.get(ALIVE_KEY, false);
  }

  /** The queue; opens it at the first call, and again after a failure. @throws StoreError, QueueError `version` */
  open(): Promise<Queue> {
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

  /** Lets go of the queue; another window takes it over. Jobs go on. */
  async close(): Promise<void> {
    const opening = this.opening;
    this.opening = undefined;
    this.current = { state: 'closed' };
    const queue = await opening?.catch(() => undefined);
    await queue?.close();
  }

  private async start(): Promise<Queue> {
    this.set({ state: 'opening' });
    const { sshConfigFile, graceSeconds, leaveOutGit, logs, history } = readSettings();
    const { openQueue } = await import('../control');
    const queue = await openQueue({
      version: VERSION,
      home: stateFolder(),
      prompter: this.prompter,
      graceS: graceSeconds,
      leaveOutGit,
      logs,
      history,
      ...(sshConfigFile === undefined ? {} : { sshConfigFile }),
    });
    await this.defineLocal(queue);
    queue.onDidChange((change) => {
      void this.memory.update(ALIVE_KEY, queue.busy);
      this.changeEmitter.fire(change);
    });
    queue.onTrouble((error) => {
      this.log.error(error.message);
      void vscode.window.showErrorMessage(error.message);
    });
    if (queue.repair) this.log.warn(JSON.stringify(queue.repair));
    this.set({ state: 'open', queue });
    return queue;
  }

  /** This machine as a cluster. All windows share it: only one that has the setting changes its declared GPUs. */
  private async defineLocal(queue: Queue): Promise<void> {
    const { virtualGpus, virtualGpusSet } = readSettings();
    if (queue.view(LOCAL) && !virtualGpusSet) return;
    try {
      await queue.defineLocal(LOCAL, virtualGpus);
    } catch (error) {
      if (!(error instanceof QueueError && error.code === 'cluster-busy')) throw error;
      this.log.warn(error.message);
      void vscode.window.showWarningMessage(error.message);
    }
  }

  private set(state: QueueState): void {
    this.current = state;
    void vscode.commands.executeCommand('setContext', 'clusterQueue.state', state.state);
    this.stateEmitter.fire(state);
  }
}
