import { HOST_FIELDS, POOL_FIELDS } from './poolFields';

/** What is said of a field of a node pools file. */
interface FieldDoc {
  /** Markdown. */
  readonly text: string;
  readonly example: string;
  /** Ours; SkyPilot does not know it. */
  readonly own?: true;
  readonly values?: readonly string[];
}

const DOCS: Readonly<Record<string, FieldDoc>> = {
  hosts: {
    text: 'The machines of the pool: addresses, names, aliases of the ssh config, or mappings with `ip:`.',
    example: 'hosts:\n  - gpu1\n  - ip: 10.0.0.7\n    user: ubuntu',
  },
  ip: { text: 'Address or name of the host, or its alias in the ssh config.', example: 'ip: 10.0.0.7' },
  user: {
    text: 'Who logs in. A host that the ssh config names takes its user and key from there.',
    example: 'user: ubuntu',
  },
  identity_file: { text: 'The private key to log in with.', example: 'identity_file: ~/.ssh/id_ed25519' },
  password: {
    text: 'The password to log in with. It stays in this file: it is read for each login and kept nowhere else.',
    example: 'password: …',
  },
  port: { text: 'Port of its sshd.', example: 'port: 2222', own: true },
  gpus: {
    text: 'The GPUs that jobs may use, by name and number. With `virtual: true` they exist on paper only.',
    example: 'gpus: V100:8',
    own: true,
  },
  cpus: { text: 'How many CPUs jobs may use; all that are found if absent.', example: 'cpus: 32', own: true },
  memory: {
    text: 'How much memory jobs may use, in GB or with a unit; all that is found if absent.',
    example: 'memory: 256',
    own: true,
  },
  virtual: {
    text: 'Where no GPU is found, those of `gpus` are scheduled and put in `CUDA_VISIBLE_DEVICES` like real ones.',
    example: 'virtual: true',
    own: true,
    values: ['true', 'false'],
  },
  devices: {
    text: 'The GPUs that jobs may use, by their number in nvidia-smi, best first.',
    example: 'devices: [0, 1, 2, 3, 7, 6]',
    own: true,
  },
};

/** Something to put at the cursor of a node pools file; offsets in UTF-16 code units, end exclusive. */
export interface PoolCompletion {
  readonly label: string;
  readonly kind: 'field' | 'value' | 'host' | 'gpu';
  readonly detail: string;
  /** Markdown. */
  readonly documentation?: string;
  /** A VS Code snippet. */
  readonly snippet: string;
  readonly start: number;
  readonly end: number;
}

/** What the world has to offer: hosts of the ssh config, and names of GPUs. */
export interface PoolWorld {
  readonly hosts: readonly string[];
  readonly gpus: readonly string[];
}

/** What may come at an offset of a node pools file, best first. */
export function completePools(text: string, offset: number, world: PoolWorld): PoolCompletion[] {
  const lines = linesOf(text);
  const at = lines.findLastIndex((line) => line.start <= offset);
  const line = lines[at];
  if (!line) return [];
  const prefix = text.slice(line.start, offset);
  const value = /^\s*(?:-\s+)?(\w+)\s*:\s+([^#]*)$/.exec(prefix);
  if (value?.[1] !== undefined) return valuesOf(value[1], offset - (value[2]?.length ?? 0), offset, world);
  const key = /^(\s*)(-\s+)?([\w.-]*)$/.exec(prefix);
  if (!key) return [];
  const [, indent = '', dash = '', word = ''] = key;
  const place = { start: offset - word.length, end: line.start + (wordEnd(line.text, prefix.length) ?? 0) };
  const column = indent.length + dash.length;
  if (dash !== '') {
    if (listOf(lines, at, indent.length) !== 'hosts') return [];
    const hosts = world.hosts.map((host): PoolCompletion => ({
      label: host,
      kind: 'host',
      detail: 'of the ssh config',
      snippet: host,
      ...place,
    }));
    return [...hosts, ...fields(['ip'], [], place, column, line.text)];
  }
  const around = surroundings(lines, at, column);
  if (around.kind === 'top') return [poolSnippet(place)];
  if (around.kind === 'other') return [];
  const known = around.kind === 'host' ? HOST_FIELDS : POOL_FIELDS;
  return fields(known, around.taken, place, column, line.text);
}

/** What the field at an offset does: Markdown, with the field's place; undefined where there is none. */
export function poolFieldHelp(
  text: string,
  offset: number,
): { title: string; text: string; start: number; end: number } | undefined {
  const line = linesOf(text).findLast(({ start }) => start <= offset);
  const match = line && /^(\s*(?:-\s+)?)([\w-]+)\s*:/.exec(line.text);
  const [, lead = '', name = ''] = match ?? [];
  const doc = Object.hasOwn(DOCS, name) ? DOCS[name] : undefined;
  if (!line || !doc || lead === '') return undefined;
  const start = line.start + lead.length;
  const end = start + name.length;
  return offset < start || offset > end ? undefined : { title: name, text: markdown(doc), start, end };
}

interface Line {
  readonly start: number;
  readonly text: string;
  /** Column of the dash, when there is one. */
  readonly dash: number | undefined;
  /** Column of the first key or word. */
  readonly column: number;
  readonly key: string | undefined;
  readonly blank: boolean;
}

function linesOf(text: string): Line[] {
  let start = 0;
  return text.split('\n').map((raw) => {
    const line = raw.replace(/\r$/, '');
    const [lead = '', , dash] = /^(\s*)(-\s+)?/.exec(line) ?? [];
    const found = {
      start,
      text: line,
      dash: dash === undefined ? undefined : lead.length - dash.length,
      column: lead.length,
      key: /^([\w.-]+)\s*:(?:\s|$)/.exec(line.slice(lead.length))?.[1],
      blank: /^\s*(?:#.*)?$/.test(line),
    };
    start += raw.length + 1;
    return found;
  });
}

/** The key whose list an item with its dash at this column belongs to. */
function listOf(lines: readonly Line[], at: number, dashColumn: number): string | undefined {
  for (const line of lines.slice(0, at).reverse()) {
    if (line.blank || line.column > dashColumn || line.dash !== undefined) continue;
    return line.key;
  }
  return undefined;
}

type Surroundings =
  | { readonly kind: 'top' }
  | { readonly kind: 'other' }
  | { readonly kind: 'pool' | 'host'; readonly taken: readonly string[] };

/** Where a key at this column stands, and which keys stand beside it. */
function surroundings(lines: readonly Line[], at: number, column: number): Surroundings {
  if (column === 0) return { kind: 'top' };
  const taken: string[] = [];
  const take = (line: Line): void => {
    if (line.column === column && line.key !== undefined) taken.push(line.key);
  };
  for (const line of lines.slice(at + 1)) {
    if (line.blank) continue;
    if (line.column < column || (line.dash ?? column) < column) break;
    take(line);
  }
  for (const [index, line] of [...lines.entries()].slice(0, at).reverse()) {
    if (line.blank || line.column > column) continue;
    take(line);
    if (line.dash !== undefined && line.column === column) {
      return listOf(lines, index, line.dash) === 'hosts' ? { kind: 'host', taken } : { kind: 'other' };
    }
    if (line.column < column)
      return line.column === 0 && line.dash === undefined ? { kind: 'pool', taken } : { kind: 'other' };
  }
  return { kind: 'other' };
}

function fields(
  names: readonly string[],
  taken: readonly string[],
  place: { start: number; end: number },
  column: number,
  line: string,
): PoolCompletion[] {
  const hasColon = /^[\w-]*\s*:/.test(line.slice(column));
  return names
    .filter((name) => !taken.includes(name))
    .map((name) => {
      const doc = DOCS[name];
      const opening = name === 'hosts' ? '\n  - $0' : name === 'devices' ? ' [$0]' : ' $0';
      return {
        label: name,
        kind: 'field',
        detail: doc?.own ? 'Cluster Queue' : '',
        ...(doc ? { documentation: markdown(doc) } : {}),
        snippet: hasColon ? name : `${name}:${opening}`,
        ...place,
      };
    });
}

function poolSnippet(place: { start: number; end: number }): PoolCompletion {
  return {
    label: 'node pool',
    kind: 'field',
    detail: 'name and hosts',
    snippet: '${1:my-pool}:\n  hosts:\n    - ${2:gpu1}\n    - ${3:gpu2}\n',
    ...place,
  };
}

function valuesOf(key: string, start: number, end: number, world: PoolWorld): PoolCompletion[] {
  const place = { start, end };
  if (key === 'ip')
    return world.hosts.map((host) => ({
      label: host,
      kind: 'host',
      detail: 'of the ssh config',
      snippet: host,
      ...place,
    }));
  if (key === 'gpus')
    return world.gpus.map((gpu) => ({
      label: gpu,
      kind: 'gpu',
      detail: '',
      snippet: `${gpu}:\${1|1,2,4,8|}`,
      ...place,
    }));
  const values = Object.hasOwn(DOCS, key) ? (DOCS[key]?.values ?? []) : [];
  return values.map((label) => ({ label, kind: 'value', detail: '', snippet: label, ...place }));
}

function wordEnd(line: string, from: number): number | undefined {
  const rest = /^[\w.-]*/.exec(line.slice(from))?.[0] ?? '';
  return from + rest.length;
}

function markdown({ text, example, own }: FieldDoc): string {
  const ours = own ? '\n\n*Cluster Queue’s own; SkyPilot ignores or refuses it.*' : '';
  return `${text}${ours}\n\n\`\`\`yaml\n${example}\n\`\`\``;
}
