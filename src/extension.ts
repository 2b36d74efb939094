import * as vscode from 'vscode';
import { registerCommands } from './commands';
import { registerEditor } from './editor';
import { LogChannels, QueueTree, showStatus } from './views';
import { EditorFacts, offerCq, WindowQueue } from './window';

let window: WindowQueue | undefined;

/** Builds the object graph. Nothing is opened or connected before it is needed. */
export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('Cluster Queue', { log: true });
  window = new WindowQueue(context.globalState, log);
  const tree = new QueueTree(window);
  const logs = new LogChannels(window);
  const facts = new EditorFacts(window);
  context.subscriptions.push(log, window, tree, logs, facts, showStatus(window), registerEditor(facts));
  const cq = offerCq(context);
  cq.catch((error: unknown) => log.warn(`cq is not on the PATH of terminals: ${String(error)}`));
  context.subscriptions.push(registerCommands({ window, tree, logs, log, cq }));
  // Jobs went on while no window was open: find out what became of them.
  if (window.leftAlive) void window.open().catch(() => undefined);
}

/** Lets go of the queue before the host goes; jobs on nodes go on. */
export async function deactivate(): Promise<void> {
  await window?.close();
}
