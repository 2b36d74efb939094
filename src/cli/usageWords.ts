// A command line that commander refuses, in words for who knows SkyPilot's.

const CLOUD = 'for clouds: machines that you reach by SSH are chosen with --hosts or --pool of cq launch';
const NEVER_STOPPED = 'cq rents no machines, so none is stopped; cq down forgets a cluster';

/** Commands of `sky` that `cq` has not, and what there is instead. */
const COMMANDS: Readonly<Record<string, string>> = {
  start: NEVER_STOPPED,
  stop: NEVER_STOPPED,
  autostop: NEVER_STOPPED,
  gpus: 'cq status shows the GPUs of clusters, cq check HOST those of a machine',
  'show-gpus': 'cq status shows the GPUs of clusters, cq check HOST those of a machine',
  jobs: 'every cluster has a queue of its own: cq exec, cq queue, cq logs, cq cancel',
  ssh: 'node pools need no command: cq launch -c NAME --pool POOL',
  serve: 'cq runs jobs only',
  api: 'cq has no API server; cq engine looks after the queue while no window is open',
};

/** Options of `sky` that `cq` has not, and why or what there is instead. */
const OPTIONS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      '--infra',
      '--cloud',
      '--region',
      '--zone',
      '-t',
      '--instance-type',
      '--use-spot',
      '--no-use-spot',
      '--image-id',
      '--disk-size',
      '--disk-tier',
      '--network-tier',
      '--ports',
      '-r',
      '--retry-until-up',
    ].map((option) => [option, CLOUD]),
  ),
  '-i': NEVER_STOPPED,
  '--idle-minutes-to-autostop': NEVER_STOPPED,
  '--down': NEVER_STOPPED,
  '--async': '-d queues a job without following it',
  '--refresh': 'what is shown is always fresh',
};

/** Options that mean something else, or nothing, with one command. */
const OPTIONS_OF: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  exec: {
    '-c': 'the cluster comes first: cq exec CLUSTER FILE',
    '--cluster': 'the cluster comes first: cq exec CLUSTER FILE',
  },
  queue: {
    '-a': 'all jobs are shown, of everybody; -s leaves out those that have ended',
    '--all': 'all jobs are shown, of everybody; -s leaves out those that have ended',
    '--all-users': 'all jobs are shown, of everybody',
  },
  logs: {
    '-f': 'a log is followed unless --no-follow is said',
    '--follow': 'a log is followed unless --no-follow is said',
    '-n': '--tail N begins with the last N lines',
  },
  status: { '-r': 'what is shown is always fresh', '-a': 'all is shown', '--all': 'all is shown' },
  down: { '-a': 'name the cluster', '--all': 'name the cluster' },
};

/** An option that nobody knows is most likely that of a command which is to run. */
function ofCommand(words: string, command: string | undefined): string | undefined {
  const runs = command === 'exec' ? 'cq exec CLUSTER' : command === 'launch' ? 'cq launch -c CLUSTER' : '';
  if (runs === '' || words.includes('Did you mean')) return undefined;
  return `to run a command that has it, put -- before: ${runs} -- COMMAND…`;
}

/** What commander says of a wrong command line, with what a user of `sky` would say here instead, and where to look. */
export function usageWords(refusal: string, command: string | undefined): string {
  const words = refusal.replace(/^error: /, 'cq: ').trimEnd();
  const [, kind = '', word = ''] = /unknown (command|option) '([^'=]+)/.exec(words) ?? [];
  const instead =
    kind === 'command'
      ? COMMANDS[word]
      : kind && (OPTIONS_OF[command ?? '']?.[word] ?? OPTIONS[word] ?? ofCommand(words, command));
  const where =
    kind === 'command' || command === undefined
      ? 'cq --help shows the commands'
      : `cq ${command} --help says how it is used`;
  // A command that is spelt much alike is a worse guess than what is known of this one.
  const lines = instead ? [words.replace(/\n\(Did you mean .*$/s, ''), `(${instead})`] : [words];
  return `${[...lines, `(${where})`].join('\n')}\n`;
}
