import type { Command } from 'commander';
import { EXIT } from '../exitCodes';
import { clusterJson } from '../json';
import { gpuWords, stateWords } from '../nodeWords';
import { columns } from '../terminal';
import { settled, withQueue, type Cli, type QueueCli } from '../withQueue';

/** `cq status`: the clusters and what their machines have free. */
export function addStatus(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('status')
    .description('show the clusters, and what their machines have free')
    .option('--json', 'print [CLUSTER, …]')
    .action(async (flags: { json?: boolean }) => {
      end(
        await withQueue(cli, async (open) => {
          const { queue, terminal } = open;
          await settled(
            open,
            queue.views().map(({ name }) => name),
          );
          terminal.print(flags.json === true ? JSON.stringify(queue.views().map(clusterJson)) : render(open));
          return EXIT.ok;
        }),
      );
    });
}

function render({ queue, terminal }: QueueCli): string {
  const head = (text: string): string => terminal.paint(text, 'head');
  const views = queue.views();
  const clusters = views.map(({ name, nodes, running, pending }) => [
    name,
    `${nodes.filter(({ link }) => link.state === 'up').length}/${nodes.length}`,
    gpuWords(nodes.flatMap(({ usage }) => usage?.devices ?? [])) || '-',
    String(running),
    String(pending),
  ]);
  const nodes = views.flatMap((view) => view.nodes.map((node) => [view.name, node.name, stateWords(node)]));
  return [
    ...columns([['NAME', 'UP', 'GPUS', 'RUNNING', 'WAITING'], ...clusters], head),
    '',
    ...columns([['CLUSTER', 'NODE', 'FREE'], ...nodes], head),
  ].join('\n');
}
