// A command line that commander refuses, in words for who knows SkyPilot's.

const CLOUD = 'for clouds: machines that you reach by SSH are chosen with --hosts or --pool of cq launch';
const CLONE = 'no disk is copied: file_mounts bring files to the machines';
const NEVER_STOPPED = 'cq rents no machines, so none is stopped; cq down takes a cluster down';

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
      '--local-disk',
      '--network-tier',
      '-r',
      '--retry-until-up',
    ].map((option) => [option, CLOUD]),
  ),
  '-i': NEVER_STOPPED,
  '--idle-minutes-to-autostop': NEVER_STOPPED,
  '--down': NEVER_STOPPED,
  '--wait-for': NEVER_STOPPED,
  '--ports': 'your machines have their ports already: a job may listen on any',
  '--async': '-d queues a job without following it',
  '--no-async': 'that is so anyway: a command ends when it is done',
  '--config': 'there is no config of SkyPilot’s server here: what a task needs is in its file and options',
  '--docker': 'a run may use docker itself: cq stops its containers with the job',
  '--clone': CLONE,
  '--clone-disk-from': CLONE,
  '--fast': 'a cluster that is there is not made again; --no-setup of cq launch leaves setup out',
  '--refresh': 'what is shown is always fresh',
};

const RANKS = 'the log of a job has the lines of all its nodes, each with its rank';

/** Options that mean something else, or nothing, with one command. */
const OPTIONS_OF: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  exec: {
    '--infra': 'a job runs on the cluster that is named; cq launch takes --infra ssh/POOL',
    '--no-setup': 'exec runs no setup; cq launch does',
    '--dryrun': 'cq launch has it; cq validate FILE checks a task file',
    '-y': 'exec asks nothing',
    '--yes': 'exec asks nothing',
  },
  queue: {
    '-a': 'all jobs are shown, of everybody; -s leaves out those that have ended',
    '--all': 'all jobs are shown, of everybody; -s leaves out those that have ended',
    '-v': '--wide shows more',
    '--verbose': '--wide shows more',
  },
  logs: {
    '-f': 'a log is followed unless --no-follow is said',
    '-s': '--sync-down DIR copies logs into a folder',
    '--provision': 'no machine is rented, so there is no such log; cq status says why a launch failed',
    '--autostop': NEVER_STOPPED,
    '-w': RANKS,
    '--worker': RANKS,
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
