import { backgroundFiles, becomeBackground, stateFolder } from '../../control';
import type { NodeView } from '../../engine';
import { EXIT } from '../exitCodes';
import { settled, until, withQueue, type Cli, type QueueCli } from '../withQueue';
import { LogTerminal } from './logTerminal';

/** What the process that was started tells the one that did it, once. */
export interface Begun {
  /** The background engine that was there already. */
  readonly already?: number;
  /** Why there is none. */
  readonly error?: string;
}

/** The background engine itself: has the queue, or waits until whoever has it goes, until it gets SIGTERM. */
export async function runBackground(cli: Cli): Promise<number> {
  const home = stateFolder();
  const terminal = new LogTerminal(backgroundFiles(home).log);
  const tell = (begun: Begun): void => {
    if (process.connected) process.send?.(begun, () => process.disconnect());
  };
  process.on('uncaughtException', (error) => {
    terminal.note(`ended by an error of its own: ${error.stack ?? error.message}`);
    process.exit(EXIT.error);
  });
  try {
    const already = await becomeBackground(home);
    if (already !== undefined) {
      tell({ already });
      return EXIT.ok;
    }
    return await withQueue({ ...cli, terminal }, async (open) => {
      terminal.note(`process ${process.pid} begins`);
      tell({});
      await keep(open);
      terminal.note(`process ${process.pid} was told to end; jobs on nodes go on`);
      return EXIT.ok;
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    terminal.note(message);
    tell({ error: message });
    return EXIT.error;
  }
}

/** Looks after the queue and says what became of it and of each node, until it is to stop. */
async function keep(open: QueueCli): Promise<void> {
  const { queue, terminal } = open;
  let role = '';
  const nodes = new Map<string, string>();
  const tell = (): void => {
    if (queue.role !== role) {
      role = queue.role;
      if (role === 'host') terminal.note('this process has the queue');
      if (role === 'client')
        terminal.note('another process has the queue; this one takes over when that ends');
      // What it had to say of its nodes it says anew.
      nodes.clear();
      if (role === 'host') void settled(open, clusters());
    }
    if (role !== 'host') return;
    for (const { name, nodes: views } of queue.views())
      for (const node of views) {
        const words = wordsOf(node);
        const key = `${name}/${node.name}`;
        if (words === undefined || nodes.get(key) === words) continue;
        nodes.set(key, words);
        terminal.note(`${key}: ${words}`);
      }
  };
  const clusters = (): string[] => queue.views().map(({ name }) => name);
  queue.onDidChange(tell);
  tell();
  await until(open, () => false);
}

function wordsOf({ link }: NodeView): string | undefined {
  if (link.state === 'up') return 'connected';
  // Among these: whose key has a passphrase, which nobody is here to give.
  return link.state === 'down' ? link.message : undefined;
}
