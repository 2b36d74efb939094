import type { Flaw } from './grammar';

/** Names that `cloud` and `infra` may start with. */
export const CLOUDS: readonly string[] = [
  'aws',
  'azure',
  'gcp',
  'ibm',
  'lambda',
  'scp',
  'oci',
  'kubernetes',
  'runpod',
  'vast',
  'vsphere',
  'cudo',
  'fluidstack',
  'paperspace',
  'primeintellect',
  'do',
  'nebius',
  'ssh',
  'slurm',
  'hyperbolic',
  'seeweb',
  'shadeform',
  'yotta',
  'mithril',
  'verda',
];
export const DISK_TIERS: readonly string[] = ['low', 'medium', 'high', 'ultra', 'best'];

const INFRA = new RegExp(
  `^(?:(?:${CLOUDS.filter((name) => name !== 'kubernetes').join('|')}|\\*)(?:/[^/]+(?:/[^/]+)?)?|(?:kubernetes|k8s)(?:/.+)?)$`,
  'i',
);

function flaw(code: string, message: string): Flaw {
  return { code, message, severity: 'error' };
}

/** What is wrong with `infra`; undefined when nothing is. */
export function infraFlaw(text: string): Flaw | undefined {
  if (INFRA.test(text)) return undefined;
  return flaw(
    'bad-infra',
    `\`${text}\` is no infrastructure: write \`ssh/POOL\` for your own node pool, or \`cloud[/region[/zone]]\`, \`k8s[/context]\`, \`*\`.`,
  );
}

/** Whether `infra` can mean one's own nodes. */
export function isOwnInfra(text: string): boolean {
  return /^(?:ssh|\*)(?:\/|$)/i.test(text);
}

/** What is wrong with `disk_tier`; undefined when nothing is. */
export function diskTierFlaw(text: string): Flaw | undefined {
  if (DISK_TIERS.includes(text.toLowerCase())) return undefined;
  return flaw('bad-value', `\`disk_tier\` is one of ${DISK_TIERS.join(', ')}.`);
}

/** What is wrong with `local_disk`; undefined when nothing is. */
export function localDiskFlaw(text: string): Flaw | undefined {
  if (/^(?:(?:nvme|ssd):)?\d+(?:\.\d+)?\+?$|^(?:nvme|ssd)$/i.test(text)) return undefined;
  return flaw('bad-value', 'A local disk is written `ssd:500`, `nvme:1000+`, or just a size in GB.');
}

/** What is wrong with a port or a range of ports; undefined when nothing is. */
export function portsFlaw(text: string): Flaw | undefined {
  const range = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (!range)
    return flaw(
      'bad-port',
      `\`${text}\` is no port: write a number from 1 to 65535, or a range \`8000-8010\`.`,
    );
  const from = Number(range[1]);
  const to = Number(range[2] ?? range[1]);
  if ([from, to].some((port) => port < 1 || port > 65535))
    return flaw('bad-port', 'A port is a number from 1 to 65535.');
  if (from > to) return flaw('bad-port', `The range \`${text}\` runs backwards: write the lower port first.`);
  return undefined;
}
