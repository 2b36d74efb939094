import type { Command } from 'commander';
import type { NodeDefinition } from '../../cluster';
import { expandHome } from '../../control/home';
import type { NodeFacts } from '../../node';
import { afterName } from '../../queue';
import { EXIT } from '../exitCodes';
import { hostsOfPool } from '../pools';
import { withQueue, type Cli } from '../withQueue';

// A host that drops packets must not hold up the others' answers for ever.
const LONGEST_MS = 30_000;
// Less, so that it is told what was waited for.
const SHELL_MS = 20_000;

/** `cq check`: whether machines can be reached and run jobs, and what they have. */
export function addCheck(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('check')
    .description('say whether machines can be reached and run jobs, and what they have')
    .argument('[hosts...]', 'as you give them to ssh; without any, the nodes of all clusters')
    .option('--pool <name>', 'the hosts of a pool in ~/.sky/ssh_node_pools.yaml')
    .action(async (hosts: string[], flags: { pool?: string }) => {
      const nodes = await nodesFor(cli, hosts, flags.pool);
      if (nodes.length === 0) cli.terminal.note('there is no node to check: name hosts');
      const results = await Promise.all(
        nodes.map(async (node) => {
          const { ok, words } = await look(cli, node);
          cli.terminal.print(
            `${cli.terminal.paint(ok ? 'ok' : 'no', ok ? 'good' : 'bad')}  ${node.destination}: ${words}`,
          );
          return ok;
        }),
      );
      end(results.every(Boolean) ? EXIT.ok : EXIT.error);
    });
}

type Remote = NodeDefinition & { readonly destination: string };

/** The nodes to look at, each destination once. */
async function nodesFor(cli: Cli, hosts: readonly string[], pool: string | undefined): Promise<Remote[]> {
  const { nodesOf } = await import('../../control');
  let nodes = [...nodesOf(hosts), ...(pool === undefined ? [] : await hostsOfPool(cli, pool))];
  if (hosts.length === 0 && pool === undefined) {
    await withQueue(cli, ({ queue }) => {
      nodes = queue.views().flatMap(({ name }) => queue.definition(name).nodes);
      return Promise.resolve(EXIT.ok);
    });
  }
  const remote = nodes.flatMap((node) =>
    node.destination === undefined ? [] : [{ ...node, destination: node.destination }],
  );
  return [...new Map(remote.map((node) => [node.destination, node])).values()];
}

/** Connects, as the queue would, and asks what is there. */
async function look(cli: Cli, node: Remote): Promise<{ ok: boolean; words: string }> {
  const { loginOf } = await import('../../engine');
  const { SshTransport } = await import('../../transport');
  const { AgentSession, SESSION_COMMAND } = await import('../../node');
  const { terminalPrompter } = await import('../ask');
  const config = process.env.CLUSTER_QUEUE_SSH_CONFIG ?? '';
  const signal = AbortSignal.timeout(LONGEST_MS);
  let close = (): void => undefined;
  try {
    const transport = await SshTransport.connect(
      node.destination,
      {
        configFile: config === '' ? undefined : expandHome(config),
        login: node.login && loginOf(node.login, node.destination),
        prompter: cli.terminal.canAsk ? terminalPrompter : undefined,
      },
      signal,
    );
    close = () => transport.close();
    const session = await AgentSession.open(await transport.exec(SESSION_COMMAND), signal, SHELL_MS);
    const facts = await session.probe();
    session.close();
    const by = transport.kind === 'ssh' ? "the system's ssh" : transport.kind;
    return { ok: facts.bash, words: `${await factWords(facts)}, by ${by}` };
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    return { ok: false, words: afterName(words, node.name, node.destination) };
  } finally {
    close();
  }
}

async function factWords(facts: NodeFacts): Promise<string> {
  const { canonicalGpuName } = await import('../../cluster');
  const { bash, gpus, cpus, memoryMiB, diskMiB, os, trouble, foreign, rsync, driver, cuda, clock } = facts;
  const ahead = clock === undefined ? 0 : Math.round(clock - Date.now() / 1000);
  const kinds = new Map<string, number>();
  for (const gpu of gpus) {
    const name = canonicalGpuName(gpu.name, gpu.ofMiB ?? gpu.memoryMiB);
    kinds.set(name, (kinds.get(name) ?? 0) + 1);
  }
  const devices = [...kinds].map(([name, count]) => `${count} × ${name}`).join(', ') || 'no GPU';
  const parts = [
    ...(bash ? [] : ['no bash on its PATH, and jobs run by bash']),
    devices,
    `${cpus} CPUs`,
    `${Math.round(memoryMiB / 1024)} GB of memory`,
    `${Math.round(diskMiB / 1024)} GB free in the home`,
    os,
    ...(driver === undefined ? [] : [`driver ${driver}, CUDA ${cuda ?? '?'}`]),
    ...(rsync ? [] : ['no rsync']),
    ...(Math.abs(ahead) < 10 ? [] : [`its clock is ${Math.abs(ahead)} s ${ahead > 0 ? 'ahead' : 'behind'}`]),
    ...(foreign.length > 0 ? [`${foreign.length} GPU processes outside the queue`] : []),
    ...(trouble === undefined ? [] : [trouble]),
  ];
  return parts.join(', ');
}
