import os from 'node:os';
import path from 'node:path';

/** What the %-tokens of ssh_config(5) stand for. */
export interface TokenValues {
  /** As the user typed it (`%n`). */
  readonly typed: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly hostKeyAlias?: string | undefined;
}

/** A path or command of the ssh config with its tokens (`%h`, `%d`, …) replaced; unknown ones stay. */
export function expandTokens(text: string, values: TokenValues): string {
  return text.replace(/%(.)/g, (token, letter: string) => {
    switch (letter) {
      case '%':
        return '%';
      case 'h':
        return values.host;
      case 'n':
        return values.typed;
      case 'p':
        return String(values.port);
      case 'r':
        return values.user;
      case 'k':
        return values.hostKeyAlias ?? values.host;
      case 'd':
        return os.homedir();
      case 'u':
        return os.userInfo().username;
      case 'i':
        return String(os.userInfo().uid);
      case 'l':
        return os.hostname();
      case 'L':
        return os.hostname().split('.')[0] ?? token;
      default:
        return token;
    }
  });
}

/** A path with `~`, `${VARIABLE}` and quotes resolved. */
export function expandPath(file: string): string {
  const plain = file
    .replace(/^"(.*)"$/, '$1')
    .replace(/\$\{(\w+)\}/g, (whole, name: string) => process.env[name] ?? whole);
  return plain === '~' || /^~[/\\]/.test(plain) ? path.join(os.homedir(), plain.slice(1)) : plain;
}
