import { existsSync } from 'node:fs';
import { AGENT_TEXT } from '../../src/node/agentText';

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

/** The agent's text in sh up to where it looks at what it is to do: functions that a test may call. */
export const SHELL_FUNCTIONS = AGENT_TEXT.slice(
  0,
  AGENT_TEXT.lastIndexOf('\ncase ${1-} in\n', AGENT_TEXT.indexOf('#!perl')),
);
