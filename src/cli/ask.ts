import type { Given, Prompter } from '../transport';

/** Reads a line from the terminal, with the question on stderr; `hidden` shows nothing of it. Undefined: Ctrl-C or Ctrl-D. */
export function askLine(question: string, hidden: boolean): Promise<string | undefined> {
  const { stdin, stderr } = process;
  return new Promise((resolve) => {
    let line = '';
    const finish = (value: string | undefined): void => {
      stdin.off('data', take);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
      resolve(value);
    };
    const take = (chunk: Buffer): void => {
      for (const char of chunk.toString('utf8')) {
        const given = char === '\r' || char === '\n';
        if (given || char === '\x03' || (char === '\x04' && line === '')) {
          finish(given ? line : undefined);
          return;
        }
        if (char === '\x7f' || char === '\b') {
          if (line !== '' && !hidden) stderr.write('\b \b');
          line = line.slice(0, -1);
        } else if (char >= ' ') {
          if (!hidden) stderr.write(char);
          line += char;
        }
      }
    };
    // Before the question: what is pasted at once must not be shown.
    stdin.setRawMode(true);
    stderr.write(question);
    stdin.resume();
    stdin.on('data', take);
  });
}

/** A question of yes or no; only a clear yes is one. */
export async function confirm(question: string): Promise<boolean> {
  const answer = await askLine(`${question} [y/N] `, false);
  return /^y(es)?$/i.test(answer?.trim() ?? '');
}

/** Asks the person at this terminal what only they know while a connection is made; nothing of it is kept. */
export const terminalPrompter: Prompter = {
  passphrase: (file, node) => askSecret(`Passphrase of ${file} (to log in to ${node}): `),
  password: (user, node) => askSecret(`Password of ${user} on ${node}: `),
  answer: (node, question, echo) => askLine(`${node} asks: ${question} `, !echo),
  trustHost: askTrust,
};

/** As `ssh` asks it: what is neither yes, no nor the fingerprint, as the host's owner gave it, is asked again. */
async function askTrust(node: string, keyType: string, fingerprint: string): Promise<boolean> {
  let question = `${node} is a machine this one has not met. Its ${keyType} key has the fingerprint ${fingerprint}. Trust it? [y/N/fingerprint] `;
  for (;;) {
    const answer = (await askLine(question, false))?.trim() ?? '';
    if (/^y(es)?$/i.test(answer) || answer === fingerprint) return true;
    if (/^(no?)?$/i.test(answer)) return false;
    const why = answer.startsWith('SHA256:') ? 'That is not the fingerprint of its key. ' : '';
    question = `${why}Please type yes, no or the fingerprint: `;
  }
}

async function askSecret(question: string): Promise<Given | undefined> {
  const text = await askLine(question, true);
  return text === undefined ? undefined : { text };
}
