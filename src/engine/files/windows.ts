/** Why Windows has no file or folder of this name (a path with `/`); undefined when it can have one. */
export function windowsFlaw(name: string): string | undefined {
  for (const part of name.split('/')) {
    const odd = Array.from(part).find((letter) => letter < ' ' || '<>:"|?*\\'.includes(letter));
    if (odd !== undefined) return `Windows has no names with ${JSON.stringify(odd)}`;
    if (/[. ]$/.test(part) && part !== '.' && part !== '..')
      return 'Windows has no names that end with a dot or a space';
    if (/^(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|$)/i.test(part)) return `${part} is a device on Windows`;
  }
  return undefined;
}

/** Whether content is meant to be run, as its first bytes tell: a script, or a program of Linux. */
export function isProgram(head: Buffer): boolean {
  const start = head.toString('latin1', 0, 4);
  return start.startsWith('#!') || start === '\x7fELF';
}
