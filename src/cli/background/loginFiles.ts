/** How the engine is started: a command with its arguments, and variables. */
export interface Start {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export const UNIT = 'cluster-queue.service';
export const LABEL = 'cluster-queue.engine';
/** How our line of a crontab ends. */
export const CRON_MARK = '# cluster-queue';

/** A user unit of systemd; quoting as in systemd.service(5), "COMMAND LINES". */
export function unitFile({ command, environment }: Start): string {
  const quoted = (text: string): string =>
    `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%')}"`;
  return [
    '[Unit]',
    'Description=Cluster Queue: looks after the queue while no window is open',
    '',
    '[Service]',
    ...Object.entries(environment).map(([name, value]) => `Environment=${quoted(`${name}=${value}`)}`),
    `ExecStart=${command.map((word) => quoted(word).replaceAll('$', () => '$$')).join(' ')}`,
    'Restart=on-failure',
    'RestartSec=30',
    // Jobs on this machine itself are its children, and go on without it.
    'KillMode=process',
    '',
    '[Install]',
    'WantedBy=default.target',
    '',
  ].join('\n');
}

/** A line of a crontab; `%` would end its command (crontab(5)). */
export function crontabLine({ command, environment }: Start): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  const words = [
    ...Object.entries(environment).map(([name, value]) => `${name}=${quoted(value)}`),
    ...command.map(quoted),
  ];
  return `@reboot ${words.join(' ').replaceAll('%', '\\%')} >/dev/null 2>&1 ${CRON_MARK}`;
}

/** An agent of launchd, as launchd.plist(5). */
export function launchAgent({ command, environment }: Start): string {
  const text = (value: string): string =>
    `<string>${value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}</string>`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>${text(LABEL)}
  <key>ProgramArguments</key>
  <array>${command.map(text).join('')}</array>
  <key>EnvironmentVariables</key>
  <dict>${Object.entries(environment)
    .map(([name, value]) => `<key>${name}</key>${text(value)}`)
    .join('')}</dict>
  <key>RunAtLoad</key><true/>
  <key>AbandonProcessGroup</key><true/>
</dict>
</plist>
`;
}
