import { confirm } from './ask';
import { UsageError } from './errors';
import type { Cli } from './withQueue';

/** Whether the user wants it: by `-y`, or by the answer at the terminal. @throws UsageError when nobody can be asked */
export async function agreed(
  cli: Cli,
  question: string,
  flags: { readonly yes?: boolean },
): Promise<boolean> {
  if (flags.yes === true) return true;
  if (!cli.terminal.canAsk) throw new UsageError(`${question} There is nobody to ask: say -y`);
  const yes = await confirm(question);
  if (!yes) cli.terminal.note('nothing was done');
  return yes;
}
