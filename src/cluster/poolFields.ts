import { isScalar, isSeq, type Node, type Scalar } from 'yaml';
import { parseAccelerator, parseCpus, parseMemory } from '../task';
import type { Entry, Place, PoolReader } from './poolReader';

const SHARED = [
  'user',
  'identity_file',
  'password',
  'port',
  'gpus',
  'cpus',
  'memory',
  'virtual',
  'devices',
] as const;

/** Fields of a host: SkyPilot's (ip, user, identity_file, password), and ours. */
export const HOST_FIELDS: readonly string[] = ['ip', ...SHARED];
/** Fields of a pool; all but `hosts` are defaults of its hosts. */
export const POOL_FIELDS: readonly string[] = ['hosts', ...SHARED];

/** What a host has besides its address; also the form of a pool's defaults. */
export interface HostFields {
  user?: string;
  identityFile?: string;
  password?: string;
  port?: number;
  gpus?: { readonly name: string; readonly count: number };
  cpus?: number;
  memoryMiB?: number;
  virtual?: boolean;
  devices?: readonly number[];
}

/** The text of a scalar as it is written; undefined for an empty one. */
export function textOf(scalar: Scalar): string | undefined {
  if (scalar.value === null || scalar.value === '') return undefined;
  return typeof scalar.value === 'string' ? scalar.value : (scalar.source ?? JSON.stringify(scalar.value));
}

/** Reads the fields of a host or of a pool's defaults; what cannot be used is reported and left out. */
export function hostFields(reader: PoolReader, entries: readonly Entry[]): HostFields {
  const fields: HostFields = {};
  for (const { key, value, start, end } of entries) {
    // `password:` without a value is in SkyPilot's own example.
    if (value === undefined || (isScalar(value) && value.value === null)) continue;
    const place = placeOf(value, { start, end });
    if (key === 'devices') {
      const devices = deviceList(reader, value, place);
      if (devices) fields.devices = devices;
      continue;
    }
    if (!isScalar(value)) {
      if (HOST_FIELDS.includes(key))
        reader.error(place, 'wrong-type', `${key} is one value, not a list or mapping.`);
      continue;
    }
    readScalar(reader, fields, key, value, place);
  }
  return fields;
}

function readScalar(reader: PoolReader, fields: HostFields, key: string, scalar: Scalar, place: Place): void {
  const text = textOf(scalar) ?? '';
  switch (key) {
    case 'user':
      fields.user = text;
      break;
    case 'identity_file':
      fields.identityFile = text;
      break;
    case 'password':
      fields.password = text;
      break;
    case 'port': {
      const port = Number(text);
      if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) fields.port = port;
      else reader.error(place, 'bad-port', `\`${text}\` is not a port: write a number from 1 to 65535.`);
      break;
    }
    case 'gpus': {
      const { value, flaw } = parseAccelerator(text);
      if (value?.name !== undefined && /[a-z]/i.test(value.name) && Number.isInteger(value.count))
        fields.gpus = { name: value.name, count: value.count };
      else
        reader.error(
          place,
          flaw?.code ?? 'bad-accelerator',
          `\`${text}\` does not say which GPUs this host has: write \`V100:8\`, a name and how many.`,
        );
      break;
    }
    case 'cpus': {
      const { value, flaw } = parseCpus(text);
      if (value && !value.atLeast) fields.cpus = value.amount;
      else
        reader.error(
          place,
          flaw?.code ?? 'bad-cpus',
          `\`${text}\` is not how many CPUs this host has: write a number, e.g. 32.`,
        );
      break;
    }
    case 'memory': {
      const { value, flaw } = parseMemory(text);
      if (value && !value.atLeast && value.perCpu !== true) fields.memoryMiB = value.amount;
      else
        reader.error(
          place,
          flaw?.code ?? 'bad-memory',
          `\`${text}\` is not how much memory this host has: write GB, e.g. 256, or a size such as 512GB.`,
        );
      break;
    }
    case 'virtual':
      // SkyPilot reads YAML 1.1, where yes and no are truth values too.
      if (/^(true|yes|on)$/i.test(text)) fields.virtual = true;
      else if (/^(false|no|off)$/i.test(text)) fields.virtual = false;
      else reader.error(place, 'wrong-type', `virtual is true or false, not \`${text}\`.`);
      break;
  }
}

function deviceList(reader: PoolReader, value: Node, place: Place): number[] | undefined {
  if (!isSeq(value)) {
    reader.error(place, 'wrong-type', 'devices is a list of device numbers, best first: [0, 1, 3].');
    return undefined;
  }
  const devices: number[] = [];
  for (const item of value.items) {
    const text = isScalar(item) ? (textOf(item) ?? '') : '';
    const at = isScalar(item) ? placeOf(item, place) : place;
    const device = Number(text);
    if (!/^\d+$/.test(text))
      reader.error(at, 'bad-device', 'A device is its number in nvidia-smi: 0, 1, 2 and so on.');
    else if (devices.includes(device))
      reader.warning(at, 'duplicate-item', `Device ${device} is in the list twice.`);
    else devices.push(device);
  }
  return devices.length > 0 ? devices : undefined;
}

function placeOf(node: Node, fallback: Place): Place {
  return node.range ? { start: node.range[0], end: node.range[1] } : fallback;
}
