import path from 'node:path';
import type { Command } from 'commander';
import type { FetchProgress } from '../../engine';
import { bytesWords, filesWords } from '../../queue';
import { EXIT } from '../exitCodes';
import { assertFolder } from '../folders';
import { jobId } from '../numbers';
import { known, withQueue, type Cli } from '../withQueue';

const TOLD_MS = 1000;

/** `cq fetch`: what a job left in its working directory, down to this machine. */
export function addFetch(program: Command, cli: Cli, end: (code: number) => void): void {
  program
    .command('fetch')
    .description('download files from a job’s own folder, also after its end')
    .argument('<cluster>')
    .argument('<job_id>')
    .argument(
      '[patterns...]',
      'shell patterns in the job’s folder, quoted; all but hidden files unless given',
    )
    .option('--to <dir>', 'folder to put them in; CLUSTER-JOB_ID here unless given')
    .addHelpText(
      'after',
      `
What is there already is replaced file by file. Of a job with several nodes each rank gets a folder rank-N.
Example: cq fetch mycluster 3 'outputs/*.pt' --to results`,
    )
    .action(async (cluster: string, word: string, patterns: string[], flags: { readonly to?: string }) => {
      const id = jobId(word);
      const to = path.resolve(flags.to ?? `${cluster}-${id}`);
      assertFolder(to, '--to');
      end(
        await withQueue(cli, async (open) => {
          known(open, cluster);
          const { queue, terminal, signal } = open;
          let told = Date.now();
          const progress = (now: FetchProgress): void => {
            if (Date.now() - told < TOLD_MS || !terminal.canAsk) return;
            told = Date.now();
            terminal.note(terminal.paintNote(progressWords(now), 'dim'));
          };
          const request = { cluster, id, patterns: patterns.length === 0 ? ['*'] : patterns, to };
          const { files, bytes, skipped } = await queue.fetch(request, { progress, signal });
          for (const words of skipped) terminal.note(`left out ${words}`);
          terminal.note(`${files} ${files === 1 ? 'file' : 'files'}, ${bytesWords(bytes)}, in ${to}`);
          return EXIT.ok;
        }),
      );
    });
}

function progressWords({ files, bytes, totalBytes }: FetchProgress): string {
  return `${bytesWords(bytes)} of about ${bytesWords(Math.max(bytes, totalBytes))}, ${filesWords(files)}`;
}
