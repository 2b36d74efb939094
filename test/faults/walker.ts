import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { AGENT_TEXT } from '../../src/node/agentText';
import { SHELL_FUNCTIONS } from '../support/agentWays';
import perlProgram from './walker.pl' with { type: 'text' };
import shellProgram from './walker.sh';

/** What one look of a node at its staged jobs came to. */
export interface Look {
  /** As `UUID:DEVICES:ALTERNATIVE`, in the order in which they were started. */
  readonly started: readonly string[];
  /** True when the node looks again by itself. */
  readonly again: boolean;
}

/** In what the agent is run. */
export type Language = 'bash' | 'perl';

/** The agent's own text, which is run without the processes of jobs: see walker.sh and walker.pl. */
export class Walker {
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;

  constructor(private readonly language: Language) {
    const text =
      language === 'perl'
        ? `${AGENT_TEXT.slice(AGENT_TEXT.indexOf('#!perl'))}\n${perlProgram}`
        : `${SHELL_FUNCTIONS}\n${shellProgram}`;
    const words = language === 'perl' ? ['-e', text] : ['-c', text, 'walker'];
    this.child = spawn(language, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    const { stdin, stdout } = this.child;
    if (!stdin || !stdout) throw new Error(`${language} has no pipes`);
    this.lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  /** Runs one command of walker.sh. @throws when it says anything that no test expects */
  async do(command: string): Promise<void> {
    const said = await this.ask(command);
    if (said.length > 0) throw new Error(`${command}: ${said.join('\n')}`);
  }

  /** The same for one that tells of a look. */
  async look(command: string): Promise<Look> {
    const [said = '', ...more] = await this.ask(command);
    const parts = /^(( \S+)*) \|(\d*)$/.exec(said);
    if (!parts || more.length > 0) throw new Error(`${command}: ${[said, ...more].join('\n')}`);
    return { started: parts[1]?.split(' ').slice(1) ?? [], again: parts[3] !== '' };
  }

  async close(): Promise<void> {
    const gone = once(this.child, 'exit');
    this.child.stdin?.end();
    await gone;
  }

  private async ask(command: string): Promise<string[]> {
    this.child.stdin?.write(`${command}\n`);
    const said: string[] = [];
    for (;;) {
      const line = await this.lines.next();
      if (line.done === true)
        throw new Error(`${command}: ${this.language} has ended; it said: ${said.join('\n')}`);
      if (line.value === '.') return said;
      said.push(line.value);
    }
  }
}
