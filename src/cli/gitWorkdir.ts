import path from 'node:path';
import type { GitWorkdir, Task } from '../task';
import { UsageError } from './errors';
import type { TaskFlags } from './taskOptions';

/**
 * The repository that `--git-url` and `--git-ref` make of a task's workdir, where either is given; what only one of them says
 * stays of the file's own repository.
 * @throws UsageError for a ref of no repository
 */
export function gitWorkdir(
  { workdir }: Task,
  { gitUrl, gitRef }: Pick<TaskFlags, 'gitUrl' | 'gitRef'>,
): GitWorkdir | undefined {
  if (gitUrl === undefined && gitRef === undefined) return undefined;
  const own = typeof workdir === 'object' ? workdir : undefined;
  const url = gitUrl === undefined ? own?.url : fromHere(gitUrl);
  if (url === undefined)
    throw new UsageError(`--git-ref ${gitRef ?? ''}: say of which repository, with --git-url URL`);
  const ref = gitRef ?? own?.ref;
  return ref === undefined ? { url } : { url, ref };
}

/** A repository that is a folder here is found from where the command is given, as `--workdir` is. */
function fromHere(url: string): string {
  return /^\.{1,2}(\/|$)/.test(url) ? path.resolve(url) : url;
}
