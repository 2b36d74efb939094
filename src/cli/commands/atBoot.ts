import type { Command } from 'commander';
import type { NodeAtBoot } from '../../engine';
import { EXIT } from '../exitCodes';
import { known, withQueue, type Cli } from '../withQueue';

/** `cq resume-at-boot`: jobs that wait on a cluster's nodes start after a reboot, also when no client comes. */
export function addAtBoot(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('resume-at-boot')
    .description('let nodes start what waits there after a reboot, with no window open (cron, else systemd)')
    .argument('<cluster>')
    .option('--undo', 'take that back')
    .action(async (cluster: string, { undo = false }: { undo?: boolean }) => {
      end(
        await withQueue(cli, async (open) => {
          known(open, cluster);
          const nodes = await open.queue.resumeAtBoot(cluster, !undo);
          const troubled = nodes.filter((node) => 'trouble' in node);
          for (const node of nodes) {
            if ('way' in node) cli.terminal.print(`${node.node}: ${bootWords(node.way)}`);
          }
          for (const { node, trouble } of troubled) cli.terminal.note(`cq: ${node}: ${trouble}`);
          if (!undo && troubled.length < nodes.length)
            cli.terminal.note(`undo: cq resume-at-boot ${cluster} --undo`);
          return troubled.length > 0 ? EXIT.error : EXIT.ok;
        }),
      );
    });
}

function bootWords(way: Extract<NodeAtBoot, { way: unknown }>['way']): string {
  const starts = 'starts what waits there after a reboot';
  switch (way) {
    case 'cron':
      return `a line @reboot in the crontab ${starts}`;
    case 'idle':
      return `a line @reboot in the crontab ${starts}, but no cron was seen there that would run it`;
    case 'systemd':
      return `a user unit of systemd ${starts}`;
    case 'removed':
      return 'nothing is started at boot any more';
    case 'kept':
    case 'none':
      return 'nothing was installed';
  }
}
