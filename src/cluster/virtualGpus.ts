import type { NodeDefinition } from './definition';

/** Reads declared GPUs, as `V100:4`: a name and a number from 1 to 999. Undefined for anything else. */
export function parseVirtualGpus(text: string): NodeDefinition['virtual'] {
  const match = /^\s*([A-Za-z0-9][\w.-]*)\s*:\s*([1-9]\d{0,2})\s*$/.exec(text);
  return match?.[1] === undefined ? undefined : { name: match[1], count: Number(match[2]) };
}
