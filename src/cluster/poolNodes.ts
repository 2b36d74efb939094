import type { NodeDefinition, NodeLimits, NodeLogin } from './definition';
import { parsePools, type Pool, type PoolHost } from './pools';

/**
 * The hosts of a pool as nodes of a cluster: called by their address, or by more of it where two would have one name.
 * `file` is the absolute path of the pools file; passwords stay there.
 */
export function nodesOfPool(pool: Pool, file: string): NodeDefinition[] {
  const names = pool.hosts.map(({ ip }) => ip);
  return pool.hosts.map((host) => {
    const { ip, user, identityFile, gpus, virtual } = host;
    const destination = destinationOf(host);
    const shared = names.filter((name) => name === ip).length > 1;
    const login: NodeLogin = {
      ...(user === undefined ? {} : { user }),
      ...(identityFile === undefined ? {} : { identityFile }),
      pool: { file, name: pool.name },
    };
    const limits = limitsOf(host);
    return {
      name: shared ? destination : ip,
      destination,
      login,
      ...(virtual && gpus ? { virtual: gpus } : {}),
      ...(Object.keys(limits).length === 0 ? {} : { limits }),
    };
  });
}

/** The password that the text of a pools file has for a node of one of its pools, as the file is now. */
export function passwordOf(text: string, pool: string, destination: string): string | undefined {
  const hosts = parsePools(text).pools.find(({ name }) => name === pool)?.hosts ?? [];
  return hosts.find((host) => destinationOf(host) === destination)?.password;
}

/** As ssh takes it. The user is not in it: where the ssh config knows the host, that one's goes first. */
function destinationOf({ ip, port }: PoolHost): string {
  if (port === undefined) return ip;
  return ip.includes(':') && !ip.startsWith('[') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

function limitsOf({ gpus, virtual, cpus, memoryMiB, devices }: PoolHost): NodeLimits {
  return {
    ...(gpus && !virtual ? { gpus } : {}),
    ...(cpus === undefined ? {} : { cpus }),
    ...(memoryMiB === undefined ? {} : { memoryMiB }),
    ...(devices === undefined ? {} : { devices }),
  };
}
