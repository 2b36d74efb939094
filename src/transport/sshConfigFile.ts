import { readdir, readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import SSHConfig from 'ssh-config';
import { assembled } from './hostKeyAlgorithms';
import { expandPath, globOf, systemFile } from './tokens';
import { ConnectError } from './transport';

/** As in OpenSSH (readconf.c, READCONF_MAX_DEPTH is 16); a file that includes itself ends there. */
const DEEPEST_INCLUDE = 16;
/** Old names of options (readconf.c), which `ssh -G` tells by the new ones. */
const RENAMED: Readonly<Record<string, string>> = {
  challengeresponseauthentication: 'kbdinteractiveauthentication',
};

/** Names a person gave to hosts in the ssh config (no wildcards), Include followed, in the order of the file. */
export async function configuredHosts(configFile: string | undefined): Promise<string[]> {
  const text = await withIncludes(configFile ?? userConfig(), 0);
  const names = [...text.matchAll(/^[ \t]*host(?:[ \t]+|[ \t]*=[ \t]*)([^#\r\n]+)/gim)].flatMap(
    ([, words = '']) =>
      words
        .trim()
        .split(/\s+/)
        .map((word) => word.replace(/^"|"$/g, ''))
        .filter((word) => !/[*?!]/.test(word)),
  );
  return [...new Set(names)];
}

/**
 * Whether the ssh config says anything of this host in particular: a Host or Match that names it, or a pattern other
 * than `*` (SkyPilot's rule for its node pools).
 */
export async function knowsHost(host: string, configFile: string | undefined): Promise<boolean> {
  const files =
    configFile === undefined ? [userConfig(), expandPath(systemFile('ssh_config'))] : [configFile];
  const texts = await Promise.all(files.map((file) => withIncludes(file, 0)));
  for (const line of texts.join('\n').split('\n')) {
    const [, keyword = '', rest = ''] = /^\s*(host|match)(?:\s+|\s*=\s*)(.+?)\s*$/i.exec(line) ?? [];
    if (keyword.toLowerCase() === 'host' && matchesHost(host, rest.split(/\s+/))) return true;
    const criteria = keyword.toLowerCase() === 'match' ? rest : '';
    for (const [, names = ''] of criteria.matchAll(/(?:^|\s)(?:original)?host[\s=]+(\S+)/gi))
      if (matchesHost(host, names.split(','))) return true;
  }
  return false;
}

/** As ssh_config(5) has it (PATTERNS); a pattern of all hosts says nothing of this one. */
function matchesHost(host: string, words: readonly string[]): boolean {
  const patterns = words.map((word) => word.replace(/^"|"$/g, '')).filter((word) => word !== '*');
  const matches = (pattern: string): boolean => globOf(pattern.toLowerCase()).test(host.toLowerCase());
  if (patterns.some((pattern) => pattern.startsWith('!') && matches(pattern.slice(1)))) return false;
  return patterns.some((pattern) => !pattern.startsWith('!') && matches(pattern));
}

/**
 * The options of a host by the `ssh-config` package, as lines of `ssh -G`: for machines without OpenSSH.
 * @throws ConnectError `config`
 */
export async function parsedOptions(
  host: string,
  configFile: string | undefined,
): Promise<[string, string][]> {
  let computed: Record<string, string | string[]>;
  try {
    computed = SSHConfig.parse(await withIncludes(configFile ?? userConfig(), 0)).compute(host, {
      ignoreCase: true,
    });
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw new ConnectError('config', host, `cannot read the ssh config for ${host}: ${words}`, false);
  }
  const lines = Object.entries(computed).flatMap(([name, value]) => {
    const key = RENAMED[name.toLowerCase()] ?? name.toLowerCase();
    const values = Array.isArray(value) ? value : [value];
    // Only these may be given several times; the others are one line of several words.
    if (key === 'identityfile' || key === 'certificatefile')
      return values.map((item): [string, string] => [key, item]);
    const line = values.join(' ');
    return [[key, key === 'hostkeyalgorithms' ? assembled(line).join(',') : line] as [string, string]];
  });
  if (!lines.some(([key]) => key === 'identityfile')) {
    for (const name of ['id_ed25519', 'id_ecdsa', 'id_rsa']) lines.push(['identityfile', `~/.ssh/${name}`]);
  }
  return lines;
}

function userConfig(): string {
  return path.join(os.homedir(), '.ssh', 'config');
}

/** The text of a config file with what it includes in place. */
async function withIncludes(file: string, depth: number): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const lines: string[] = [];
  let section = 'Host *';
  for (const line of text.split(/\r?\n/)) {
    const [, keyword = '', rest = ''] = /^\s*(host|match|include)(?:\s+|\s*=\s*)(.+?)\s*$/i.exec(line) ?? [];
    if (keyword.toLowerCase() !== 'include') {
      if (keyword !== '') section = line;
      lines.push(line);
      continue;
    }
    if (depth >= DEEPEST_INCLUDE) continue;
    for (const word of rest.match(/"[^"]*"|\S+/g) ?? [])
      for (const found of await includedFiles(word)) lines.push(await withIncludes(found, depth + 1));
    // What follows belongs to the section that the Include stood in, not to the included file's last one.
    lines.push(section);
  }
  return lines.join('\n');
}

async function includedFiles(word: string): Promise<string[]> {
  const full = path.resolve(path.join(os.homedir(), '.ssh'), expandPath(word));
  if (!/[*?]/.test(full)) return [full];
  const pattern = globOf(path.basename(full));
  const entries = await readdir(path.dirname(full)).catch(() => []);
  return entries
    .filter((entry) => pattern.test(entry))
    .sort()
    .map((entry) => path.join(path.dirname(full), entry));
}
