import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { backgroundFiles, backgroundPid, stateFolder } from '../../control';
import { CliError } from '../errors';
import { absolutePaths } from './environment';
import { EXIT } from '../exitCodes';
import type { Terminal } from '../terminal';
import type { Begun } from './run';

// It closes its connections and its store.
const END_MS = 20_000;
const LOOK_MS = 50;

/** Starts the background engine unless there is one, and says where it is. @throws CliError with why it could not */
export async function startBackground(terminal: Terminal): Promise<void> {
  const { log } = backgroundFiles(stateFolder());
  const child = spawn(process.execPath, ['--', process.argv[1] ?? '', 'engine', '--unattended'], {
    detached: true,
    windowsHide: true,
    env: { ...process.env, ...absolutePaths() },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    // It outlives the folder that this one was called in.
    cwd: '/',
  });
  const begun = await new Promise<Begun>((resolve) => {
    child.once('message', (message) => resolve(message as Begun));
    child.once('error', (error) => resolve({ error: error.message }));
    child.once('exit', (code) =>
      resolve({ error: `it ended at once, with code ${code ?? '?'}: see ${log}` }),
    );
  });
  if (child.connected) child.disconnect();
  child.unref();
  if (begun.error !== undefined)
    throw new CliError(`the background engine did not start: ${begun.error}`, EXIT.error);
  terminal.print(
    begun.already === undefined
      ? `a background engine was started: process ${child.pid ?? '?'}, log ${log}`
      : `a background engine is on already: process ${begun.already}, log ${log}`,
  );
  terminal.note(
    'it cannot ask for a passphrase: its log names nodes that need one. End it with: cq engine --stop',
  );
}

/** Ends the background engine, and resolves when it has ended. @throws CliError when it does not */
export async function stopBackground(terminal: Terminal): Promise<void> {
  const home = stateFolder();
  const pid = await backgroundPid(home);
  if (pid === undefined) {
    terminal.print('no background engine is on');
    return;
  }
  process.kill(pid, 'SIGTERM');
  for (const deadline = Date.now() + END_MS; (await backgroundPid(home)) === pid;) {
    await sleep(LOOK_MS);
    if (Date.now() > deadline)
      throw new CliError(`process ${pid} has not ended within ${END_MS / 1000} s: kill ${pid}`, EXIT.error);
  }
  terminal.print(`the background engine (process ${pid}) has ended; jobs on nodes go on`);
}
