import { execFile, type ExecFileException } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import SSHConfig from 'ssh-config';
import { ConnectError } from './transport';

/** What the ssh config says of one host; names as in ssh_config(5). */
export interface SshOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly identityFiles: readonly string[];
  readonly identitiesOnly: boolean;
  /** Socket of the key agent; undefined when there is none. */
  readonly identityAgent?: string;
  /** Hosts to go through, first one first. */
  readonly proxyJump: readonly string[];
  readonly proxyCommand?: string;
  readonly knownHostsFiles: readonly string[];
  readonly hostKeyAlias?: string;
  readonly strictHostKeyChecking: 'yes' | 'no' | 'accept-new' | 'ask';
  /** Seconds; 0: the default. */
  readonly connectTimeout: number;
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
 * The options of a destination: by `ssh -G` where OpenSSH is there (it alone knows Include, Match and tokens), by the
 * `ssh-config` package where it is not. `configFile` stands for `ssh -F`.
 * @throws ConnectError `config`
 */
export async function sshOptions(destination: string, configFile: string | undefined): Promise<SshOptions> {
  const { user, host, port } = parseDestination(destination);
  if (host.startsWith('-'))
    throw new ConnectError('config', destination, `${destination} is not the name of a host`, false);
  const args = ['-G', ...(configFile === undefined ? [] : ['-F', configFile])];
  if (user !== undefined) args.push('-l', user);
  if (port !== undefined) args.push('-p', String(port));
  const lines =
    (await opensshOptions([...args, '--', host], destination)) ?? (await parsedOptions(host, configFile));
  const all = (key: string): string[] => lines.filter(([name]) => name === key).map(([, value]) => value);
  const one = (key: string): string | undefined => all(key)[0];
  const value = (key: string): string | undefined => {
    const found = one(key);
    return found === undefined || found === 'none' ? undefined : found;
  };
  const strict = one('stricthostkeychecking') ?? 'ask';
  const agent = value('identityagent') ?? (one('identityagent') === 'none' ? undefined : 'SSH_AUTH_SOCK');
  const proxyCommand = value('proxycommand');
  const hostKeyAlias = value('hostkeyalias');
  const identityAgent = agentSocket(agent);
  return {
    host: one('hostname') ?? host,
    port: port ?? Number(one('port') ?? 22),
    user: user ?? one('user') ?? os.userInfo().username,
    identityFiles: all('identityfile')
      .filter((file) => file !== 'none')
      .map(expand),
    identitiesOnly: one('identitiesonly') === 'yes',
    proxyJump: (value('proxyjump') ?? '').split(',').filter((hop) => hop !== ''),
    knownHostsFiles: [
      ...files(one('userknownhostsfile'), '~/.ssh/known_hosts'),
      ...files(one('globalknownhostsfile'), ''),
    ],
    strictHostKeyChecking:
      strict === 'yes' || strict === 'true'
        ? 'yes'
        : strict === 'no' || strict === 'false' || strict === 'off'
          ? 'no'
          : strict === 'accept-new'
            ? 'accept-new'
            : 'ask',
    connectTimeout: Number(value('connecttimeout') ?? 0) || 0,
    ...(identityAgent === undefined ? {} : { identityAgent }),
    ...(proxyCommand === undefined ? {} : { proxyCommand }),
    ...(hostKeyAlias === undefined ? {} : { hostKeyAlias }),
  };
}

/** Names a person gave to hosts in the ssh config (no wildcards), Include followed, in the order of the file. */
export async function configuredHosts(configFile: string | undefined): Promise<string[]> {
  const names: string[] = [];
  const visit = async (file: string, depth: number): Promise<void> => {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text === undefined || depth > 8) return;
    for (const line of text.split('\n')) {
      const match = /^\s*(host|include)(?:\s+|\s*=\s*)(.+?)\s*$/i.exec(line);
      if (!match?.[1] || !match[2]) continue;
      const words = match[2].split(/\s+/).map((word) => word.replace(/^"|"$/g, ''));
      if (match[1].toLowerCase() === 'host') names.push(...words.filter((word) => !/[*?!]/.test(word)));
      else
        for (const word of words)
          for (const found of await expandInclude(word)) await visit(found, depth + 1);
    }
  };
  await visit(configFile ?? path.join(os.homedir(), '.ssh', 'config'), 0);
  return [...new Set(names)];
}

async function expandInclude(word: string): Promise<string[]> {
  const full = path.resolve(path.join(os.homedir(), '.ssh'), expand(word));
  if (!/[*?]/.test(full)) return [full];
  const { readdir } = await import('node:fs/promises');
  const pattern = new RegExp(
    `^${path
      .basename(full)
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  );
  const entries = await readdir(path.dirname(full)).catch(() => []);
  return entries
    .filter((entry) => pattern.test(entry))
    .sort()
    .map((entry) => path.join(path.dirname(full), entry));
}

async function opensshOptions(args: string[], destination: string): Promise<[string, string][] | undefined> {
  const result = await new Promise<{ error: ExecFileException | null; stdout: string; stderr: string }>(
    (resolve) => {
      execFile('ssh', args, { timeout: 10_000 }, (error, stdout, stderr) =>
        resolve({ error, stdout, stderr }),
      );
    },
  );
  if (result.error?.code === 'ENOENT') return undefined;
  if (result.error) {
    const words = result.stderr.trim().split('\n').slice(-3).join('; ') || result.error.message;
    throw new ConnectError(
      'config',
      destination,
      `the ssh config has no valid options for ${destination}: ${words}`,
      false,
    );
  }
  return result.stdout.split('\n').flatMap((line) => {
    const space = line.indexOf(' ');
    return space < 0 ? [] : [[line.slice(0, space).toLowerCase(), line.slice(space + 1)] as [string, string]];
  });
}

async function parsedOptions(host: string, configFile: string | undefined): Promise<[string, string][]> {
  const file = configFile ?? path.join(os.homedir(), '.ssh', 'config');
  const text = await readFile(file, 'utf8').catch(() => '');
  const computed = SSHConfig.parse(text).compute(host, { ignoreCase: true });
  const lines = Object.entries(computed).flatMap(([key, value]) =>
    (Array.isArray(value) ? value : [value]).map((item): [string, string] => [key.toLowerCase(), item]),
  );
  if (!lines.some(([key]) => key === 'identityfile')) {
    for (const name of ['id_ed25519', 'id_ecdsa', 'id_rsa']) lines.push(['identityfile', `~/.ssh/${name}`]);
  }
  return lines;
}

function agentSocket(agent: string | undefined): string | undefined {
  if (agent === undefined) return undefined;
  if (agent === 'SSH_AUTH_SOCK')
    return (
      process.env.SSH_AUTH_SOCK ??
      (process.platform === 'win32' ? '\\\\.\\pipe\\openssh-ssh-agent' : undefined)
    );
  if (agent.startsWith('$')) return process.env[agent.slice(1).replace(/^\{|\}$/g, '')];
  return expand(agent);
}

function files(value: string | undefined, fallback: string): string[] {
  return (value ?? fallback)
    .split(/\s+/)
    .filter((file) => file !== '' && file !== 'none')
    .map(expand);
}

function expand(file: string): string {
  const plain = file.replace(/^"|"$/g, '');
  return plain === '~' || plain.startsWith('~/') ? path.join(os.homedir(), plain.slice(1)) : plain;
}
