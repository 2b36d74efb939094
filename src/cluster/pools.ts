import { isMap, isScalar, isSeq, parseAllDocuments, type Document, type Node } from 'yaml';
import type { Problem } from '../task';
import { hostFields, HOST_FIELDS, POOL_FIELDS, textOf, type HostFields } from './poolFields';
import { PoolReader, type Entry } from './poolReader';

/** The hosts that a node pools file lists under one name. */
export interface Pool {
  readonly name: string;
  /** Place of the name in the file. */
  readonly start: number;
  readonly end: number;
  readonly hosts: readonly PoolHost[];
  /** The first error of those that it has: it is not to be used as it stands. */
  readonly flaw?: Problem;
}

/** A host of a pool, with the pool's defaults filled in. */
export interface PoolHost {
  /** Address, name or alias of the ssh config. */
  readonly ip: string;
  readonly start: number;
  readonly end: number;
  /** User and key are those of the pool file; for a host that the ssh config names, that one's go first. */
  readonly user?: string;
  readonly identityFile?: string;
  readonly password?: string;
  readonly port?: number;
  /** Declared rather than found. */
  readonly gpus?: { readonly name: string; readonly count: number };
  readonly cpus?: number;
  readonly memoryMiB?: number;
  /** The GPUs exist on paper only: they are scheduled and exported like real ones. */
  readonly virtual: boolean;
  /** Devices that may be used, in the order of preference. */
  readonly devices?: readonly number[];
}

/**
 * Reads a node pools file (SkyPilot's ssh_node_pools.yaml, with our additions per host). Never throws: what cannot be
 * used is a problem with its place, and the rest is read all the same.
 */
export function parsePools(text: string): { pools: Pool[]; problems: Problem[] } {
  const pools: Pool[] = [];
  const documents: Document.Parsed[] = [
    ...parseAllDocuments(text, {
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
    }),
  ];
  const [first, second] = documents;
  const reader = new PoolReader(first, text.length);
  for (const document of documents) {
    for (const error of document.errors)
      reader.error(
        { start: error.pos[0], end: Math.max(error.pos[0] + 1, error.pos[1]) },
        'bad-yaml',
        `YAML cannot read this: ${error.message}`,
      );
  }
  if (second?.range) {
    const [start] = second.range;
    reader.error({ start, end: start + 1 }, 'several-documents', 'A node pools file is one YAML document.');
  }
  const root = reader.resolved(first?.contents);
  if (!root || (isScalar(root) && root.value === null)) {
    if (reader.problems.length === 0)
      reader.warning(
        { start: 0, end: 0 },
        'no-pools',
        'This file lists no node pool. A pool is a name with its hosts below.',
      );
    return { pools, problems: reader.problems };
  }
  if (!isMap(root)) {
    reader.error(
      placeOf(root),
      'not-pools',
      'A node pools file is a list of names, each with its hosts: "my-pool:" and below it "hosts:".',
    );
    return { pools, problems: reader.problems };
  }
  const syntax = firstError(reader.problems);
  const entries = reader.entries(root);
  for (const entry of entries) {
    const before = reader.problems.length;
    const pool = readPool(reader, entry);
    const ends = Math.min(...entries.map(({ start }) => start).filter((start) => start > entry.start));
    // What was read before a place where YAML is at a loss is as it stands in the file; what is there or below may not be.
    const unread = syntax && syntax.start <= ends ? syntax : undefined;
    const flaw = unread ?? entry.again ?? firstError(reader.problems.slice(before));
    pools.push(flaw ? { ...pool, flaw } : pool);
  }
  return { pools, problems: reader.problems };
}

/** The error that stands first in the file. */
function firstError(problems: readonly Problem[]): Problem | undefined {
  return problems.filter(({ severity }) => severity === 'error').sort((a, b) => a.start - b.start)[0];
}

function readPool(reader: PoolReader, entry: Entry): Pool {
  const value = entry.value;
  const { key: name, start, end } = entry;
  if (!isMap(value)) {
    reader.error(
      { start, end },
      'not-a-pool',
      `The pool ${name} has no hosts: it needs "hosts:" with a list below.`,
    );
    return { name, start, end, hosts: [] };
  }
  const entries = reader.entries(value);
  reader.unknown(entries, POOL_FIELDS, 'A pool');
  const defaults = hostFields(
    reader,
    entries.filter(({ key }) => key !== 'hosts'),
  );
  const list = entries.find(({ key }) => key === 'hosts');
  const hosts = list?.value;
  if (!list || !isSeq(hosts) || hosts.items.length === 0) {
    const message = `The pool ${name} has no hosts: "hosts:" is a list of at least one address, name or alias of the ssh config.`;
    reader.error(list ?? { start, end }, 'no-hosts', message);
    return { name, start, end, hosts: [] };
  }
  const seen = new Set<string>();
  const read: PoolHost[] = [];
  for (const item of hosts.items) {
    const host = readHost(reader, reader.resolved(item), defaults);
    if (!host) continue;
    // Two ports of one address are two machines behind one gateway.
    const identity = `${host.user ?? ''}@${host.ip}:${host.port ?? ''}`;
    if (seen.has(identity))
      reader.warning(host, 'duplicate-host', `${host.ip} is in the pool ${name} twice.`);
    else read.push(host);
    seen.add(identity);
  }
  return { name, start, end, hosts: read };
}

function readHost(reader: PoolReader, node: Node | undefined, defaults: HostFields): PoolHost | undefined {
  if (isScalar(node)) {
    const place = placeOf(node);
    const ip = textOf(node);
    if (ip !== undefined) return { virtual: false, ...defaults, ip, ...place };
    reader.error(place, 'no-ip', 'This host has neither address nor name.');
    return undefined;
  }
  if (!isMap(node)) {
    const place = node ? placeOf(node) : { start: 0, end: 0 };
    reader.error(place, 'not-a-host', 'A host is an address, a name, or a mapping with "ip:".');
    return undefined;
  }
  const entries = reader.entries(node);
  reader.unknown(entries, HOST_FIELDS, 'A host');
  const ip = entries.find(({ key }) => key === 'ip');
  const address = isScalar(ip?.value) ? textOf(ip.value) : undefined;
  const fields = hostFields(
    reader,
    entries.filter(({ key }) => key !== 'ip'),
  );
  if (!ip || address === undefined) {
    const message = 'This host has no "ip:": give its address, its name, or its alias in the ssh config.';
    reader.error(ip ?? placeOf(node), 'no-ip', message);
    return undefined;
  }
  const { start, end } = ip.value ? placeOf(ip.value) : ip;
  return { virtual: false, ...defaults, ...fields, ip: address, start, end };
}

function placeOf(node: Node): { start: number; end: number } {
  const [start = 0, end = 0] = node.range ?? [];
  return { start, end };
}
