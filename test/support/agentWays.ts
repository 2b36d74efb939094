import { existsSync } from 'node:fs';

const shells = ['dash', 'bash', 'busybox'].flatMap((name) => {
  const file = [`/bin/${name}`, `/usr/bin/${name}`].find(existsSync);
  return file === undefined ? [] : [[name, file] as const];
});

interface AgentWay {
  /** Of the test's title. */
  readonly name: string;
  /** What the node has as `sh`. */
  readonly file: string;
  /** Of the node. */
  readonly env: Readonly<Record<string, string>>;
}

/** How a node may run the agent: by each shell that is here, with the relay in perl, and with what takes its place. */
export const AGENT_WAYS = shells.flatMap(([shell, file]) =>
  [true, false].map((relay): AgentWay => ({
    name: `run by ${shell}, ${relay ? 'with' : 'without'} its relay`,
    file,
    env: relay ? {} : { CLUSTER_QUEUE_RELAY: 'no' },
  })),
);
