import type { Command } from 'commander';
import { canonicalGpuName } from '../../cluster';
import { expandHome } from '../../control/home';
import type { NodeFacts } from '../../node';
import { EXIT } from '../exitCodes';
import { withQueue, type Cli } from '../withQueue';

// A host that drops packets must not hold up the others' answers for ever.
const LONGEST_MS = 30_000;

/** `cq check`: whether machines can be reached and run jobs, and what they have. */
export function addCheck(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('check')
    .description('say whether machines can be reached and run jobs, and what they have')
    .argument('[hosts...]', 'as you give them to ssh; without any, the nodes of all clusters')
    .action(async (given: string[]) => {
      const hosts = given.length > 0 ? given : await withNodes(cli);
      if (hosts.length === 0) cli.terminal.note('there is no node to check: name hosts');
      const results = await Promise.all(
        hosts.map(async (host) => {
          const { ok, words } = await look(cli, host);
          cli.terminal.print(
            `${cli.terminal.paint(ok ? 'ok' : 'no', ok ? 'good' : 'bad')}  ${host}: ${words}`,
          );
          return ok;
        }),
      );
      end(results.every(Boolean) ? EXIT.ok : EXIT.error);
    });
}

async function withNodes(cli: Cli): Promise<string[]> {
  let hosts: string[] = [];
  await withQueue(cli, ({ queue }) => {
    const nodes = queue.views().flatMap((view) => view.nodes);
    hosts = [...new Set(nodes.flatMap(({ destination }) => destination ?? []))];
    return Promise.resolve(EXIT.ok);
  });
  return hosts;
}

/** Connects, as the queue would, and asks what is there. */
async function look(cli: Cli, host: string): Promise<{ ok: boolean; words: string }> {
  const { SshTransport } = await import('../../transport');
  const { AgentSession, SESSION_COMMAND } = await import('../../node');
  const { terminalPrompter } = await import('../ask');
  const config = process.env.CLUSTER_QUEUE_SSH_CONFIG ?? '';
  const signal = AbortSignal.timeout(LONGEST_MS);
  let close = (): void => undefined;
  try {
    const transport = await SshTransport.connect(
      host,
      {
        configFile: config === '' ? undefined : expandHome(config),
        prompter: cli.terminal.canAsk ? terminalPrompter : undefined,
      },
      signal,
    );
    close = () => transport.close();
    const session = await AgentSession.open(await transport.exec(SESSION_COMMAND), signal);
    const facts = await session.probe();
    session.close();
    return { ok: facts.bash, words: factWords(facts) };
  } catch (error) {
    return { ok: false, words: error instanceof Error ? error.message : String(error) };
  } finally {
    close();
  }
}

function factWords({ bash, gpus, cpus, memoryMiB, diskMiB, os, trouble, foreign }: NodeFacts): string {
  const kinds = new Map<string, number>();
  for (const gpu of gpus) {
    const name = canonicalGpuName(gpu.name, gpu.memoryMiB);
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
    ...(foreign.length > 0 ? [`${foreign.length} GPU processes outside the queue`] : []),
    ...(trouble === undefined ? [] : [trouble]),
  ];
  return parts.join(', ');
}
