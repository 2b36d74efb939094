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

/**
 * A path with `~`, `${VARIABLE}` and quotes resolved. On Windows also what its own OpenSSH writes for the folder of all
 * programs' data, and paths as that of Git for Windows has them (`/c/Users/me`).
 */
export function expandPath(file: string, windows = process.platform === 'win32'): string {
  const named = file
    .replace(/^"(.*)"$/, '$1')
    .replace(/\$\{(\w+)\}/g, (whole, name: string) => process.env[name] ?? whole);
  const plain = windows
    ? named
        .replace(/^__PROGRAMDATA__/i, () => process.env.ProgramData ?? 'C:\\ProgramData')
        .replace(/^\/([a-z])\//i, '$1:/')
    : named;
  return plain === '~' || /^~[/\\]/.test(plain) ? path.join(os.homedir(), plain.slice(1)) : plain;
}

/** Where OpenSSH keeps a file for all users, as its own configuration writes it. */
export function systemFile(name: string, windows = process.platform === 'win32'): string {
  return windows ? `__PROGRAMDATA__/ssh/${name}` : `/etc/ssh/${name}`;
}

/** A pattern with `*` and `?` (ssh_config(5), PATTERNS). */
export function globOf(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`);
}
