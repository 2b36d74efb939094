import { execFile, type ExecFileException } from 'node:child_process';
import net from 'node:net';
import os from 'node:os';
import type { Login } from './context';
import { parsedOptions } from './sshConfigFile';
import { expandPath, expandTokens, systemFile } from './tokens';
import { ConnectError } from './transport';

/** How long `ssh -G` may take. */
const CONFIG_MS = 10_000;

/** ssh's own order of the ways to log in; each with the option that allows it, and that option's default. */
const LOGIN_METHODS = [
  ['gssapi-with-mic', 'gssapiauthentication', 'no'],
  ['publickey', 'pubkeyauthentication', 'yes'],
  ['keyboard-interactive', 'kbdinteractiveauthentication', 'yes'],
  ['password', 'passwordauthentication', 'yes'],
] as const;

/** A way to log in, as PreferredAuthentications calls it. */
export type LoginMethod = (typeof LOGIN_METHODS)[number][0];

/** What the ssh config says of one host; names as in ssh_config(5), tokens and `~` resolved. */
export interface SshOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly identityFiles: readonly string[];
  readonly certificateFiles: readonly string[];
  readonly identitiesOnly: boolean;
  /** Socket of the key agent; undefined when there is none. */
  readonly identityAgent?: string;
  /** Hosts to go through, first one first. */
  readonly proxyJump: readonly string[];
  readonly proxyCommand?: string;
  readonly knownHostsFiles: readonly string[];
  /** The user's own, which is written to; undefined when there is to be none. */
  readonly ownKnownHostsFile?: string;
  /** A command tells keys of hosts too. */
  readonly knownHostsCommand: boolean;
  /** A file of keys that are not to be trusted. */
  readonly revokedHostKeys?: string;
  readonly hashKnownHosts: boolean;
  /** Host keys that are asked for, the first first; undefined: the default. */
  readonly hostKeyAlgorithms?: readonly string[];
  readonly hostKeyAlias?: string;
  readonly strictHostKeyChecking: 'yes' | 'no' | 'accept-new' | 'ask';
  /** The address of this machine that connections are made from. */
  readonly bindAddress?: string;
  /** Seconds; 0: the default. */
  readonly connectTimeout: number;
  /** Seconds; 0: the default. */
  readonly serverAliveInterval: number;
  readonly serverAliveCountMax: number;
  /** Ways to log in that are allowed, in the order in which they are tried. */
  readonly loginMethods: readonly LoginMethod[];
  readonly pkcs11: boolean;
}

/** `user@host:port`, `ssh://user@host:port` or a name of the ssh config, taken apart. */
export function parseDestination(destination: string): { user?: string; host: string; port?: number } {
  const plain = destination.replace(/^ssh:\/\//, '');
  const match = /^(?:([^@]+)@)?(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(plain);
  if (!match?.[2]) return { host: plain };
  return {
    host: match[2].replace(/^\[|\]$/g, ''),
    ...(match[1] === undefined ? {} : { user: match[1] }),
    ...(match[3] === undefined ? {} : { port: Number(match[3]) }),
  };
}

/**
 * The arguments by which `ssh` finds a destination: config file, user, key, port, host.
 * @throws ConnectError `config`
 */
export function destinationArgs(
  destination: string,
  configFile: string | undefined,
  login?: Login,
): string[] {
  const { user = login?.user, host, port } = parseDestination(destination);
  const key = login?.identityFile;
  if (host.startsWith('-') || user?.startsWith('-') === true)
    throw new ConnectError('config', destination, `${destination} is not the name of a host`, false);
  return [
    ...(configFile === undefined ? [] : ['-F', configFile]),
    ...(user === undefined ? [] : ['-l', user]),
    ...(key === undefined ? [] : ['-i', expandPath(key), '-o', 'IdentitiesOnly=yes']),
    ...(port === undefined ? [] : ['-p', String(port)]),
    '--',
    host,
  ];
}

/**
 * The options of a destination: by `ssh -G` where OpenSSH is there (it alone knows all of Match), by the `ssh-config`
 * package where it is not. `configFile` stands for `ssh -F`.
 * @throws ConnectError `config`
 */
export async function sshOptions(
  destination: string,
  configFile: string | undefined,
  login?: Login,
): Promise<SshOptions> {
  const { user = login?.user, host, port } = parseDestination(destination);
  const lines =
    (await opensshOptions(['-G', ...destinationArgs(destination, configFile, login)], destination)) ??
    withKey(await parsedOptions(host, configFile), login);
  const all = (key: string): string[] => lines.filter(([name]) => name === key).map(([, value]) => value);
  const one = (key: string): string | undefined => all(key)[0];
  const value = (key: string): string | undefined => {
    const found = one(key);
    return found === undefined || found.toLowerCase() === 'none' ? undefined : found;
  };
  const hostName = (value('hostname') ?? host).replace(/%(.)/g, (token, letter: string) =>
    letter === 'h' ? host : letter === '%' ? '%' : token,
  );
  const hostKeyAlias = value('hostkeyalias');
  const tokens = {
    typed: host,
    host: hostName,
    port: port ?? Number(one('port') ?? 22),
    user: user ?? one('user') ?? os.userInfo().username,
    hostKeyAlias,
  };
  const file = (text: string): string => expandPath(expandTokens(text, tokens));
  const paths = (texts: readonly string[]): string[] =>
    texts.filter((text) => text !== '' && text.toLowerCase() !== 'none').map(file);
  const words = (text: string): string[] => text.match(/"[^"]*"|\S+/g) ?? [];
  const identityAgent = agentSocket(one('identityagent') ?? 'SSH_AUTH_SOCK', file);
  const proxyCommand = value('proxycommand');
  const ownKnownHosts = paths(words(one('userknownhostsfile') ?? '~/.ssh/known_hosts'));
  const revokedHostKeys = value('revokedhostkeys');
  const bindAddress = value('bindaddress');
  const hostKeyAlgorithms = one('hostkeyalgorithms')?.split(',');
  return {
    host: tokens.host,
    port: tokens.port,
    user: tokens.user,
    identityFiles: paths(all('identityfile')),
    certificateFiles: paths(all('certificatefile')),
    identitiesOnly: one('identitiesonly') === 'yes',
    proxyJump: (value('proxyjump') ?? '')
      .split(',')
      .map((hop) => hop.trim())
      .filter((hop) => hop !== ''),
    knownHostsFiles: [
      ...ownKnownHosts,
      ...paths(words(one('globalknownhostsfile') ?? systemFile('ssh_known_hosts'))),
    ],
    knownHostsCommand: value('knownhostscommand') !== undefined,
    hashKnownHosts: one('hashknownhosts') === 'yes',
    strictHostKeyChecking: strictness(one('stricthostkeychecking') ?? 'ask'),
    connectTimeout: Number(value('connecttimeout') ?? 0) || 0,
    serverAliveInterval: Number(value('serveraliveinterval') ?? 0) || 0,
    serverAliveCountMax: Number(value('serveralivecountmax') ?? 3) || 3,
    loginMethods: loginMethods(one),
    pkcs11: value('pkcs11provider') !== undefined,
    ...(ownKnownHosts[0] === undefined ? {} : { ownKnownHostsFile: ownKnownHosts[0] }),
    // A name of this machine, which OpenSSH takes too, is none for a socket.
    ...(bindAddress === undefined || net.isIP(bindAddress) === 0 ? {} : { bindAddress }),
    ...(revokedHostKeys === undefined ? {} : { revokedHostKeys: file(revokedHostKeys) }),
    ...(identityAgent === undefined ? {} : { identityAgent }),
    ...(proxyCommand === undefined ? {} : { proxyCommand: expandTokens(proxyCommand, tokens) }),
    ...(hostKeyAlgorithms === undefined ? {} : { hostKeyAlgorithms }),
    ...(hostKeyAlias === undefined ? {} : { hostKeyAlias }),
  };
}

function loginMethods(option: (key: string) => string | undefined): LoginMethod[] {
  const allowed = LOGIN_METHODS.filter(
    ([, key, otherwise]) => !/^(no|false)$/i.test(option(key) ?? otherwise),
  );
  const methods = allowed.map(([method]) => method);
  const preferred = option('preferredauthentications')?.split(',');
  return preferred?.flatMap((name) => methods.filter((method) => method === name.trim())) ?? methods;
}

/** As `ssh -i` does it: this key first, and none of the agent's that no file names. */
function withKey(lines: [string, string][], login: Login | undefined): [string, string][] {
  const key = login?.identityFile;
  return key === undefined ? lines : [['identityfile', key], ['identitiesonly', 'yes'], ...lines];
}

async function opensshOptions(args: string[], destination: string): Promise<[string, string][] | undefined> {
  const result = await new Promise<{ error: ExecFileException | null; stdout: string; stderr: string }>(
    (resolve) => {
      execFile('ssh', args, { timeout: CONFIG_MS, windowsHide: true }, (error, stdout, stderr) =>
        resolve({ error, stdout, stderr }),
      );
    },
  );
  if (result.error?.code === 'ENOENT') return undefined;
  if (result.error) {
    const words =
      result.error.killed === true
        ? `ssh -G took more than ${CONFIG_MS / 1000} s (a Match exec in it?)`
        : result.stderr.trim().split('\n').slice(-3).join('; ') || result.error.message;
    throw new ConnectError(
      'config',
      destination,
      `the ssh config has no valid options for ${destination}: ${words}`,
      false,
    );
  }
  return result.stdout.split(/\r?\n/).flatMap((line) => {
    const space = line.indexOf(' ');
    return space < 0 ? [] : [[line.slice(0, space).toLowerCase(), line.slice(space + 1)] as [string, string]];
  });
}

function strictness(word: string): SshOptions['strictHostKeyChecking'] {
  switch (word.toLowerCase()) {
    case 'yes':
    case 'true':
      return 'yes';
    case 'no':
    case 'false':
    case 'off':
      return 'no';
    case 'accept-new':
      return 'accept-new';
    default:
      return 'ask';
  }
}

function agentSocket(agent: string, file: (text: string) => string): string | undefined {
  if (agent.toLowerCase() === 'none') return undefined;
  if (agent === 'SSH_AUTH_SOCK') {
    const named = process.env.SSH_AUTH_SOCK;
    if (named !== undefined && named !== '') return named;
    return process.platform === 'win32' ? '\\\\.\\pipe\\openssh-ssh-agent' : undefined;
  }
  const variable = /^\$\{?(\w+)\}?$/.exec(agent)?.[1];
  return variable === undefined ? file(agent) : process.env[variable];
}
