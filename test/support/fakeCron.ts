import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** Shell text of a `crontab` that keeps the user's table in a file, as crontab(1) says. */
export function fakeCrontab(table: string): string {
  return `case "$*" in
  -l) cat '${table}' 2>/dev/null || { echo 'no crontab for me' >&2; exit 1; } ;;
  -) cat >'${table}.new' && mv '${table}.new' '${table}' ;;
  *) exit 2 ;;
esac`;
}

/** The lines of a table that are run at boot. */
export function rebootLines(table: string): string[] {
  if (!existsSync(table)) return [];
  return readFileSync(table, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('@reboot '));
}

/** Does with the lines of a table what cron does at boot, with its poor environment; returns when all have returned. */
export function runAtBoot(table: string, env: Readonly<Record<string, string>> = {}): void {
  for (const line of rebootLines(table))
    execFileSync('/bin/sh', ['-c', commandOf(line)], {
      env: { ...CRON_ENV, ...env },
      cwd: '/',
      stdio: 'ignore',
    });
}

const CRON_ENV = { HOME: '/', LOGNAME: 'nobody', SHELL: '/bin/sh', PATH: '/usr/bin:/bin' };

/** As crontab(5): what follows the time, with each `\%` as a `%`. */
function commandOf(line: string): string {
  return line.slice('@reboot '.length).replaceAll('\\%', '%');
}

/** Whether a cron runs on this machine, as an agent looks for it. */
export function cronRuns(): boolean {
  return spawnSync('pgrep', ['-x', 'cron|crond|dcron|fcron|bcron-sched']).status === 0;
}
