import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CliError } from '../errors';
import { EXIT } from '../exitCodes';
import type { Terminal } from '../terminal';
import { absolutePaths } from './environment';
import { crontabLine, CRON_MARK, LABEL, launchAgent, UNIT, unitFile, type Start } from './loginFiles';

/** Has the engine started when the user logs in (or the machine starts). @throws CliError */
export function installAtLogin(terminal: Terminal): void {
  if (process.platform === 'win32')
    throw new CliError('not on Windows: let the Task Scheduler run “cq engine --background”', EXIT.error);
  const start = startOf();
  if (process.platform === 'darwin') {
    write(agentPath(), launchAgent(start));
    terminal.print(`wrote ${agentPath()}: launchd starts the engine at your next login`);
  } else if (haveSystemd()) {
    write(unitPath(), unitFile(start));
    const done = systemctl('daemon-reload') ?? systemctl('enable', UNIT);
    if (done !== undefined) {
      rmSync(unitPath(), { force: true });
      throw new CliError(`systemctl did not take ${UNIT}: ${done}; nothing was installed`, EXIT.error);
    }
    terminal.print(`wrote and enabled ${unitPath()}: systemd starts the engine at your next login`);
    terminal.note('(already when the machine starts: loginctl enable-linger)');
  } else {
    changeCrontab([crontabLine(start)]);
    terminal.print('added a line @reboot to your crontab: cron starts the engine when the machine starts');
  }
  terminal.note('now: cq engine --background     undo: cq engine --not-at-login');
}

/** Takes back what `installAtLogin` did; whatever runs goes on. @throws CliError */
export function removeAtLogin(terminal: Terminal): void {
  const gone: string[] = [];
  if (existsSync(unitPath())) {
    const flaw = systemctl('disable', UNIT);
    rmSync(unitPath(), { force: true });
    systemctl('daemon-reload');
    gone.push(unitPath());
    if (flaw !== undefined) terminal.note(`systemctl --user disable ${UNIT}: ${flaw}`);
  }
  if (existsSync(agentPath())) {
    rmSync(agentPath(), { force: true });
    gone.push(agentPath());
  }
  try {
    if (crontab()?.some((line) => line.endsWith(CRON_MARK))) {
      changeCrontab([]);
      gone.push('the line of your crontab');
    }
  } catch (error) {
    // Who may not use cron has no line there.
    terminal.note(error instanceof Error ? error.message : String(error));
  }
  terminal.print(
    gone.length === 0
      ? 'nothing to undo: the engine is not started at login'
      : `removed ${gone.join(' and ')}; an engine that is on goes on (end it: cq engine --stop)`,
  );
}

/** The program as it will still be called after an update of the extension, where that is known. */
function startOf(): Start {
  const environment = absolutePaths();
  const stable = process.env.CLUSTER_QUEUE_CQ;
  if (stable !== undefined && existsSync(stable))
    return { command: [stable, 'engine', '--unattended'], environment };
  if (process.versions.electron !== undefined) environment.ELECTRON_RUN_AS_NODE = '1';
  const program = path.resolve(process.argv[1] ?? '');
  return { command: [process.execPath, '--', program, 'engine', '--unattended'], environment };
}

function unitPath(): string {
  const config = process.env.XDG_CONFIG_HOME;
  return path.join(
    config === undefined || config === '' ? path.join(os.homedir(), '.config') : config,
    'systemd',
    'user',
    UNIT,
  );
}

function agentPath(): string {
  return path.join(os.homedir(), 'Library', 'LaunchAgents', `${LABEL}.plist`);
}

function write(file: string, text: string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** Not in a container, nor where no systemd looks after this user. */
function haveSystemd(): boolean {
  return systemctl('show-environment') === undefined;
}

/** What it complained of; undefined when it did what was asked. */
function systemctl(...args: string[]): string | undefined {
  const { error, status, stderr } = spawnSync('systemctl', ['--user', ...args], { encoding: 'utf8' });
  if (error) return error.message;
  return status === 0 ? undefined : stderr.trim() || `code ${status ?? '?'}`;
}

/**
 * Its lines; undefined when there is no `crontab`. Where the user has none, the program fails and says so. @throws CliError
 * when it cannot be read: nothing may be written over it then
 */
function crontab(): string[] | undefined {
  const env = { ...process.env, LC_ALL: 'C' };
  const { error, status, stdout, stderr } = spawnSync('crontab', ['-l'], { encoding: 'utf8', env });
  if (error) return undefined;
  if (status === 0) return stdout === '' ? [] : stdout.replace(/\n$/, '').split('\n');
  if (/no crontab for|: No such file or directory\s*$/.test(stderr)) return [];
  throw new CliError(`crontab -l: ${stderr.trim() || `code ${status ?? '?'}`}`, EXIT.error);
}

function changeCrontab(ours: readonly string[]): void {
  const before = crontab();
  if (!before)
    throw new CliError(
      'neither systemctl --user nor crontab can be used here; to start it by hand: cq engine --background',
      EXIT.error,
    );
  const lines = [...before.filter((line) => !line.endsWith(CRON_MARK)), ...ours];
  const { status, stderr } = spawnSync('crontab', ['-'], {
    encoding: 'utf8',
    input: lines.map((line) => `${line}\n`).join(''),
  });
  if (status !== 0) throw new CliError(`crontab: ${stderr.trim()}`, EXIT.error);
}
