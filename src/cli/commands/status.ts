import type { Command } from 'commander';
import { EXIT } from '../exitCodes';
import type { Background } from '../../control';
import type { ClusterView } from '../../engine';
import { statusJson } from '../json';
import { outputOption, wantsJson, type OutputFlags } from '../output';
import { gpuWords, launchWords, stateWords } from '../nodeWords';
import { columns } from '../terminal';
import { known, settled, withQueue, type Cli, type QueueCli } from '../withQueue';

/** `cq status`: the clusters and what their machines have free. */
export function addStatus(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('status')
    .description('show clusters (all, unless some are named), and what their machines have free')
    .argument('[clusters...]')
    .option('--json', 'print {clusters: [CLUSTER, …], background} (-o json too)')
    .addOption(outputOption())
    .action(async (names: string[], flags: OutputFlags) => {
      end(
        await withQueue(cli, async (open) => {
          const { queue, terminal } = open;
          for (const name of names) known(open, name);
          const views = (): readonly ClusterView[] =>
            queue.views().filter(({ name }) => names.length === 0 || names.includes(name));
          await settled(
            open,
            views().map(({ name }) => name),
          );
          const { findBackground, stateFolder } = await import('../../control');
          const background = await findBackground(stateFolder());
          terminal.print(
            wantsJson(flags)
              ? JSON.stringify(statusJson(views(), background))
              : `${render(open, views())}\n\n${backgroundWords(background)}`,
          );
          return EXIT.ok;
        }),
      );
    });
}

function backgroundWords(background: Background | undefined): string {
  if (!background) return 'No background engine is on (start one: cq engine --background).';
  const { pid, host, log } = background;
  return host === undefined
    ? `A background engine is on: process ${pid}, log ${log}`
    : `A background engine is on: process ${pid} on ${host}, which has the same state folder; log ${log}`;
}

function render({ terminal }: QueueCli, views: readonly ClusterView[]): string {
  const head = (text: string): string => terminal.paint(text, 'head');
  const clusters = views.map(({ name, nodes, running, pending }) => [
    name,
    `${nodes.filter(({ link }) => link.state === 'up').length}/${nodes.length}`,
    gpuWords(nodes.flatMap(({ usage }) => usage?.devices ?? [])) || '-',
    String(running),
    String(pending),
  ]);
  const nodes = views.flatMap((view) => view.nodes.map((node) => [view.name, node.name, stateWords(node)]));
  const launches = views.flatMap(({ name, launch }) => (launch ? [launchWords(name, launch)] : []));
  return [
    ...columns([['NAME', 'UP', 'GPUS', 'RUNNING', 'WAITING'], ...clusters], head),
    '',
    ...columns([['CLUSTER', 'NODE', 'FREE'], ...nodes], head),
    ...(launches.length > 0 ? ['', ...launches] : []),
  ].join('\n');
}
