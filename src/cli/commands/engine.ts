import type { Command } from 'commander';
import { EXIT } from '../exitCodes';
import { settled, until, withQueue, type Cli } from '../withQueue';

/** `cq engine`: looks after the queue until it is told to stop. */
export function addEngine(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('engine')
    .description('look after the queue until Ctrl-C: waiting jobs start also while no window is open')
    .action(async () => {
      end(
        await withQueue(cli, async (open) => {
          const { queue, terminal } = open;
          let told = '';
          const tell = (): void => {
            if (told === queue.role) return;
            told = queue.role;
            if (told === 'host')
              terminal.note('this process has the queue; Ctrl-C ends it, jobs on nodes go on');
            if (told === 'client')
              terminal.note('another process has the queue; this one takes over when that ends');
          };
          queue.onDidChange(tell);
          tell();
          void settled(
            open,
            queue.views().map(({ name }) => name),
          );
          await until(open, () => false);
          return EXIT.ok;
        }),
      );
    });
}
