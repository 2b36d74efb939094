import type { Command } from 'commander';
import type { NodeDefinition, NodesChange } from '../../cluster';
import { afterName } from '../../queue';
import { CliError, UsageError } from '../errors';
import { EXIT } from '../exitCodes';
import { nodeWords } from '../nodeWords';
import { hostsOfPool } from '../pools';
import { awayNodes, known, LOCAL, settled, withQueue, type Cli, type QueueCli } from '../withQueue';

/** Says of nodes that were added what they have, or why they cannot be used; they are tried again all the same. */
function tellNew(open: QueueCli, cluster: string, added: readonly NodeDefinition[]): void {
  for (const node of open.queue.view(cluster)?.nodes ?? []) {
    const { name, destination, link } = node;
    if (!added.some((one) => one.name === name)) continue;
    if (link.state === 'up') open.terminal.print(nodeWords(node));
    else if (link.state === 'down')
      open.terminal.note(
        `${name} was added, and cannot be used yet: ${afterName(link.message, name, destination)}`,
      );
    else
      open.terminal.note(
        `${name} was added, and has not answered yet: it is used as soon as it does (cq status ${cluster}), or take it out with: cq remove-node ${cluster} ${name}`,
      );
  }
}

/** Says which drained nodes may start what is staged there all the same, because they have not heard of it. */
async function tellUnreached(cli: QueueCli, cluster: string, names: readonly string[]): Promise<number> {
  const away = awayNodes(cli, cluster).flatMap(({ name }) => (names.includes(name) ? [name] : []));
  const jobs = away.length === 0 ? [] : await cli.queue.list(cluster, Number.MAX_SAFE_INTEGER);
  if (!jobs.some(({ record }) => record.staged?.nodes.some((node) => away.includes(node)))) return EXIT.ok;
  cli.terminal.note(`cq: ${away.join(', ')} cannot be reached: what is staged there may start until it can`);
  return EXIT.error;
}

function doneWords({ remove, drain }: NodesChange, cluster: string): string {
  if (remove) return `removed from ${cluster}`;
  return drain ? `draining on ${cluster}, where nothing new starts` : `in use again on ${cluster}`;
}

/** @throws CliError for a change of the nodes of this machine's own cluster */
function assertOthers(cluster: string, { add, remove }: NodesChange): void {
  if (cluster !== LOCAL) return;
  if (add)
    throw new CliError(
      `${cluster} is this machine itself: make a cluster of others with: cq launch -c NAME --hosts HOST,…`,
    );
  if (remove)
    throw new CliError(
      `${cluster} is this machine itself, which cannot be taken out of it. To end its jobs: cq cancel ${cluster} --all`,
    );
}

/** `cq drain`, `cq undrain`, `cq add-node` and `cq remove-node`: the machines of a cluster that is there. */
export function addNodes(program: Command, cli: Cli, end: (code: number) => void): void {
  const change = async (cluster: string, names: readonly string[], made: NodesChange): Promise<void> => {
    end(
      await withQueue(cli, async (open) => {
        known(open, cluster);
        assertOthers(cluster, made);
        const there = open.queue.definition(cluster).nodes.map(({ name }) => name);
        const missing = names.find((name) => !there.includes(name));
        if (missing !== undefined)
          throw new CliError(`${cluster} has no node ${missing} (it has: ${there.join(', ')})`);
        // Without a connection what the agent left there would stay, and what is staged there might start.
        if (made.remove || (made.drain && open.queue.role === 'host')) await settled(open, [cluster]);
        if (made.add) {
          const { addNodes: addTo } = await import('../../control');
          await addTo(open.queue, cluster, made.add, open.signal);
          tellNew(open, cluster, made.add);
          return EXIT.ok;
        }
        await open.queue.changeNodes(cluster, made);
        open.terminal.print(`${doneWords(made, cluster)}: ${names.join(', ')}`);
        return made.drain ? tellUnreached(open, cluster, names) : EXIT.ok;
      }),
    );
  };
  program
    .command('drain')
    .description('let nodes start nothing new; what runs there goes on')
    .argument('<cluster>')
    .argument('<nodes...>')
    .option('--undo', 'let them start jobs again')
    .action((cluster: string, nodes: string[], flags: { undo?: boolean }) =>
      change(cluster, nodes, flags.undo === true ? { undrain: nodes } : { drain: nodes }),
    );
  program
    .command('undrain')
    .description('let drained nodes start jobs again')
    .argument('<cluster>')
    .argument('<nodes...>')
    .action((cluster: string, nodes: string[]) => change(cluster, nodes, { undrain: nodes }));
  program
    .command('remove-node')
    .description('take nodes out of a cluster; refused while a job is there')
    .argument('<cluster>')
    .argument('<nodes...>')
    .action((cluster: string, nodes: string[]) => change(cluster, nodes, { remove: nodes }));
  program
    .command('add-node')
    .description('add machines to a cluster')
    .argument('<cluster>')
    .argument('[hosts...]', 'as you give them to ssh')
    .option('--pool <name>', 'the hosts of a pool in ~/.sky/ssh_node_pools.yaml')
    .action(async (cluster: string, hosts: string[], flags: { pool?: string }) => {
      const { nodesOf } = await import('../../control');
      const pooled = flags.pool === undefined ? [] : await hostsOfPool(cli, flags.pool);
      const add = [...nodesOf(hosts), ...pooled];
      if (add.length === 0) throw new UsageError('say which machines: HOST… or --pool POOL');
      await change(cluster, [], { add });
    });
}
