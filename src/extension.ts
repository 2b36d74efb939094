import * as vscode from 'vscode';
import { registerCommands } from './commands';
import { registerEditor } from './editor';
import { LogChannels, QueueTree, showStatus } from './views';
import { EditorFacts, WindowQueue } from './window';

let queue: WindowQueue | undefined;

/** Builds the object graph. Nothing is opened or connected before it is needed. */
export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('Cluster Queue', { log: true });
  queue = new WindowQueue(context.globalState, log);
  const tree = new QueueTree(queue);
  const logs = new LogChannels(queue);
  const facts = new EditorFacts(queue);
  context.subscriptions.push(log, queue, tree, logs, facts, showStatus(queue), registerEditor(facts));
  context.subscriptions.push(registerCommands({ queue, tree, logs, log }));
  // Jobs went on while no window was open: find out what became of them.
  if (queue.leftAlive) void queue.open().catch(() => undefined);
}

/** Stops the engine before the host goes; jobs on nodes go on. */
export async function deactivate(): Promise<void> {
  await queue?.close();
}
