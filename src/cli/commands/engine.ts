import { Option, type Command } from 'commander';
import { UsageError } from '../errors';
import { EXIT } from '../exitCodes';
import { settled, until, withQueue, type Cli } from '../withQueue';

interface Flags {
  readonly background?: boolean;
  readonly stop?: boolean;
  readonly atLogin?: boolean;
  readonly notAtLogin?: boolean;
  readonly unattended?: boolean;
}

/** `cq engine`: looks after the queue until it is told to stop, here or in the background. */
export function addEngine(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('engine')
    .description('look after the queue until Ctrl-C: waiting jobs start also while no window is open')
    .option('--background', 'do so in a process of its own, which goes on when you log out')
    .option('--stop', 'end that process; jobs on nodes go on')
    .option('--at-login', 'start it at each login (systemd, else cron; launchd on macOS)')
    .option('--not-at-login', 'undo --at-login')
    .addOption(new Option('--unattended', 'be that process').hideHelp())
    .action(async (flags: Flags) => end(await run(cli, flags)));
}

async function run(cli: Cli, flags: Flags): Promise<number> {
  const { terminal } = cli;
  if (Object.keys(flags).length > 1) throw new UsageError('one of the options at a time');
  if (flags.unattended === true) return (await import('../background/run')).runBackground(cli);
  if (flags.background === true) await (await import('../background/control')).startBackground(terminal);
  else if (flags.stop === true) await (await import('../background/control')).stopBackground(terminal);
  else if (flags.atLogin === true) (await import('../background/login')).installAtLogin(terminal);
  else if (flags.notAtLogin === true) (await import('../background/login')).removeAtLogin(terminal);
  else return inForeground(cli);
  return EXIT.ok;
}

function inForeground(cli: Cli): Promise<number> {
  return withQueue(cli, async (open) => {
    const { queue, terminal } = open;
    let told = '';
    const tell = (): void => {
      if (told === queue.role) return;
      told = queue.role;
      if (told === 'host') terminal.note('this process has the queue; Ctrl-C ends it, jobs on nodes go on');
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
  });
}
