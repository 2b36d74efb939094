import type * as vscode from 'vscode';
import { register, type CommandContext } from './context';

/**
 * Registers every command of the extension by its id (with the prefix); what one does is loaded when it is called the first
 * time.
 */
export function startCommands(context: CommandContext, ids: readonly string[]): vscode.Disposable {
  return register(
    context,
    ids.map((id) => ({
      id,
      run: async (...all) => {
        const { commands } = await import('./index');
        const command = commands.find((one) => `clusterQueue.${one.id}` === id);
        if (!command) throw new Error(`there is no command ${id}`);
        await command.run(...all);
      },
    })),
  );
}
