import * as vscode from 'vscode';
import type { Element, LogChannels, QueueTree } from '../views';
import type { SecretKeeper, WindowQueue } from '../window';

/** What commands work with. */
export interface CommandContext {
  readonly window: WindowQueue;
  readonly tree: QueueTree;
  readonly logs: LogChannels;
  /** The extension's own log; never a job's output. */
  readonly log: vscode.LogOutputChannel;
  /** The script `cq`, once it is there. */
  readonly cq: Promise<string>;
  readonly keeper: SecretKeeper;
}

type Kind = Element['kind'];
type OfKind<K extends Kind> = Extract<Element, { kind: K }>;

/** A command by its id and what it does with its arguments. */
export interface Command {
  readonly id: string;
  readonly run: (context: CommandContext, ...args: unknown[]) => Promise<void> | void;
}

/** Registers commands, whose ids are whole here; an error one of them throws is shown to the user in its own words. */
export function register(context: CommandContext, commands: readonly Command[]): vscode.Disposable {
  return vscode.Disposable.from(
    ...commands.map(({ id, run }) =>
      vscode.commands.registerCommand(id, async (...args: unknown[]) => {
        try {
          await run(context, ...args);
        } catch (error) {
          void vscode.window.showErrorMessage(error instanceof Error ? error.message : String(error));
        }
      }),
    ),
  );
}

/**
 * The elements a command is for: those it was called on (a menu passes the one under the pointer and all that are
 * selected), or the selection when it was called by a key or from the palette.
 */
export function targets<K extends Kind>(
  context: CommandContext,
  kind: K,
  args: readonly unknown[],
): OfKind<K>[] {
  const [one, many] = args;
  const given =
    Array.isArray(many) && many.length > 0 ? many : one === undefined ? context.tree.selection : [one];
  return given.filter((element): element is OfKind<K> => isElement(element) && element.kind === kind);
}

function isElement(value: unknown): value is Element {
  return typeof value === 'object' && value !== null && 'kind' in value && 'cluster' in value;
}
