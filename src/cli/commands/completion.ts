import { Argument, type Command } from 'commander';
import { bash, fish, zsh, type Words } from '../completionScripts';
import { EXIT } from '../exitCodes';
import type { Cli } from '../withQueue';
import { VALUES } from './complete';

const SCRIPTS = { bash, zsh, fish } as const;

/** `cq completion`: a shell's completion script, made of the commands as they are. */
export function addCompletion(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>').choices(Object.keys(SCRIPTS)))
    .addHelpText(
      'after',
      `
bash: source <(cq completion bash)    in ~/.bashrc
zsh:  source <(cq completion zsh)     in ~/.zshrc, after compinit
fish: cq completion fish | source     in ~/.config/fish/config.fish`,
    )
    .action((shell: keyof typeof SCRIPTS) => {
      cli.terminal.print(SCRIPTS[shell](wordsOf(program)));
      end(EXIT.ok);
    });
}

function wordsOf(program: Command): Words[] {
  return program.commands
    .filter((command) => command.name() !== 'complete')
    .map((command) => ({
      name: command.name(),
      description: command.description(),
      options: [
        ...command.options.flatMap((option) =>
          (option.hidden ? [] : [option.short, option.long]).flatMap((flag) =>
            flag === undefined
              ? []
              : [{ flag, description: option.description, known: option.attributeName() in VALUES }],
          ),
        ),
        { flag: '--help', description: 'show help' },
      ],
    }));
}
