import * as vscode from 'vscode';
import { startCommands } from './commands/start';
import { startEditor } from './editor/start';
import { LogChannels, QueueTree, showStatus } from './views';
import { EditorFacts, keeperOf, offerCq, watchRemoteSsh, windowPrompter, WindowQueue } from './window';

let window: WindowQueue | undefined;

/** Builds the object graph. Nothing is opened or connected before it is needed. */
export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('Cluster Queue', { log: true });
  const keeper = keeperOf(context);
  window = new WindowQueue(context.globalState, log, windowPrompter(keeper));
  const tree = new QueueTree(window);
  const logs = new LogChannels(window);
  const facts = new EditorFacts(window);
  context.subscriptions.push(
    log,
    window,
    tree,
    logs,
    facts,
    showStatus(window),
    watchRemoteSsh(),
    startEditor(facts),
  );
  const cq = offerCq(context);
  cq.catch((error: unknown) => log.warn(`cq is not on the PATH of terminals: ${String(error)}`));
  const { contributes } = context.extension.packageJSON as {
    contributes: { commands: readonly { command: string }[] };
  };
  const ids = contributes.commands.map(({ command }) => command);
  context.subscriptions.push(startCommands({ window, tree, logs, log, cq, keeper }, ids));
  // Jobs went on while no window was open: find out what became of them.
  if (window.leftAlive) void window.open().catch(() => undefined);
}

/** Lets go of the queue before the host goes; jobs on nodes go on. */
export async function deactivate(): Promise<void> {
  await window?.close();
}
