/**
 * The line protocol between the engine and a node's agent session (agent.sh), version CQ1.
 *
 * Requests, one per line:  `ID VERB WORD…`; a word holds no white space (see `encodeWord`).
 * Answers and events, one per line:
 *   `CQ1 have|need|fail TEXT`, `CQ1 ready BOOT NODE`   the bootstrap; all lines before the first are a shell's noise
 *   `= ID ok WORDS` / `= ID err CODE TEXT`             the end of an answer
 *   `+ ID WORDS`                                       one of its lines before
 *   `S UUID AGE TRY`                                   the job began AGE seconds ago, or its next try now
 *   `R UUID TRY`                                       a gang's rank holds its devices and waits for `go`
 *   `T UUID TRY CODE PAUSE`                            a try ended with CODE; TRY begins in PAUSE seconds, or with its gang
 *   `B UUID DEVICE USER`                               the launch was refused: somebody else has the device
 *   `W UUID 1`, `W UUID 0`                             the log cannot be written just now; it can again
 *   `X UUID CODE AGE HOW TRY TAKEN…`                   the last process of the job is gone; HOW: see `EndKind`;
 *                                                      TAKEN, as in G: staged jobs that were started in its place
 *   `G UUID:DEVICES:ALTERNATIVE`                       a staged job was started; DEVICES with commas between, or `-`
 *   `D SLOT OFFSET LENGTH` and LENGTH raw bytes        a piece of a followed log; where OFFSET is beyond the end of the
 *                                                      piece before, the node has dropped what lies between
 *   `E SLOT SIZE`                                      the followed log is complete
 *
 * A staged job is a folder `KEY.CLASS.UUID` on the node, in whose order the node starts each that fits while no client
 * decides it. KEY sorts as the queue does and ends in `n`, or in `a` for one that a connected client wants to start
 * itself; jobs of one CLASS all fit or none does. Its file `want` has a line for each node that may start it:
 * `NODE IP CPUS KIB ALTERNATIVE…`, what the node has (thousandths of a CPU, KiB) and what each alternative takes:
 * `CPUS:KIB:UNITS:COUNT:INDEX=LEASE,…` with the scheduler's share units and the devices that will do, in order of preference.
 */

/** Which devices of its node a rank was given, by index, and for which of its alternatives. */
export interface Taken {
  readonly devices: readonly number[];
  readonly alternative: number;
}

/**
 * What a node says of one job. Ages (since the first try began) and durations in whole seconds on the node's own monotonic
 * clock; tries count from 1.
 */
export type NodeJobState = NodeJobWords & { readonly taken?: Taken };

type NodeJobWords =
  | { readonly state: 'unknown' }
  /** Its folder is there, but no supervisor ever claimed it. */
  | { readonly state: 'new' }
  /**
   * Supervised, no try under way: a gang's rank that is `ready`, holding its devices, for `go`; or a launch that copies its
   * workdir or locks its devices (without an age).
   */
  | { readonly state: 'waiting'; readonly age?: number; readonly try: number; readonly ready?: true }
  /** `pausing`: between two tries, of which `try` is the next. */
  | { readonly state: 'running' | 'pausing'; readonly age: number; readonly try: number }
  | {
      readonly state: 'ended';
      readonly code: number;
      readonly age: number;
      readonly how: EndKind;
      readonly ran?: number;
      readonly try: number;
    }
  /** It began and left no end: the node was rebooted, or somebody killed the supervisor. */
  | { readonly state: 'dead'; readonly cause: 'reboot' | 'supervisor' };

/**
 * How a job ended: by itself, by cancel, by its time limit, in `~/.bashrc` before the task began, as a gang's rank that got
 * no `go`, or by SIGKILL while the node's kernel ended processes for want of memory.
 */
export type EndKind = 'exit' | 'cancelled' | 'timeout' | 'rc' | 'no-go' | 'oom';

/** Pushed by the node. */
export type NodeEvent =
  | { readonly kind: 'started'; readonly uuid: string; readonly age: number; readonly try: number }
  | { readonly kind: 'ready'; readonly uuid: string; readonly try: number }
  /** A try ended with `code`; `try` begins in `pauseS` seconds, or with the other ranks of the gang. */
  | {
      readonly kind: 'retrying';
      readonly uuid: string;
      readonly try: number;
      readonly code: number;
      readonly pauseS: number;
    }
  | { readonly kind: 'busy'; readonly uuid: string; readonly device: string; readonly user?: string }
  | {
      readonly kind: 'ended';
      readonly uuid: string;
      readonly code: number;
      readonly age: number;
      readonly how: EndKind;
      readonly try: number;
      /** Staged jobs that were started on what it had. */
      readonly next: readonly StagedStart[];
    }
  /** The log cannot be written just now, and the job waits when it prints; said again every minute. Or it can again. */
  | { readonly kind: 'unwritten'; readonly uuid: string; readonly unwritten: boolean }
  /** A staged job was started. */
  | { readonly kind: 'taken'; readonly uuid: string; readonly taken: Taken };

/** A staged job that its node has started. */
export interface StagedStart {
  readonly uuid: string;
  readonly taken: Taken;
}

/** What the node said makes no sense; the connection is of no more use. */
export class ProtocolError extends Error {
  readonly code = 'protocol';
}

/**
 * Makes one word of any text without NUL, as `printf %b` of a POSIX shell decodes it.
 * @throws RangeError when the text holds a NUL, which a shell cannot keep.
 */
export function encodeWord(text: string): string {
  if (text.includes('\0')) throw new RangeError('the text holds a NUL byte, which a shell script cannot');
  if (text === '') return '\\c';
  return text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\t', '\\t')
    .replaceAll('\r', '\\r')
    .replaceAll(' ', '\\0040');
}

const END_KINDS: readonly EndKind[] = ['exit', 'cancelled', 'timeout', 'rc', 'no-go', 'oom'];

function endKind(word: string | undefined): EndKind {
  const kind = END_KINDS.find((known) => known === word);
  if (kind !== undefined) return kind;
  // The supervisor of a job may be of a later version, whose kinds are not known here; the exit code says enough.
  if (word !== undefined && /^[a-z-]+$/.test(word)) return 'exit';
  throw new ProtocolError(`unknown end of a job: ${word ?? 'nothing'}`);
}

function whole(word: string | undefined): number {
  if (word === undefined || !/^-?\d+$/.test(word))
    throw new ProtocolError(`not a whole number: ${word ?? 'nothing'}`);
  return Number(word);
}

/** Parses the words of a job's state, as in the answers to `start`, `cancel` and `query`. */
export function parseJobState(all: readonly string[]): NodeJobState {
  const at = all.indexOf('@');
  const words = at < 0 ? all : all.slice(0, at);
  const state = parseStateWords(words);
  return at < 0 ? state : { ...state, taken: taken(all[at + 1], all[at + 2]) };
}

function taken(devices: string | undefined, alternative: string | undefined): Taken {
  const list = devices === undefined || devices === '-' ? [] : devices.split(',').map(whole);
  return { devices: list, alternative: whole(alternative) };
}

function stagedStart(word: string): StagedStart {
  const [uuid = '', devices, alternative] = word.split(':');
  return { uuid, taken: taken(devices, alternative) };
}

function parseStateWords(words: readonly string[]): NodeJobWords {
  switch (words[0]) {
    case 'unknown':
    case 'new':
      return { state: words[0] };
    case 'waiting': {
      const age = words[1] === '-' ? {} : { age: whole(words[1]) };
      return {
        state: 'waiting',
        ...age,
        try: whole(words[2]),
        ...(words[3] === 'ready' ? { ready: true } : {}),
      };
    }
    case 'running':
    case 'pausing':
      return { state: words[0], age: whole(words[1]), try: whole(words[2]) };
    case 'dead':
      return { state: 'dead', cause: words[1] === 'reboot' ? 'reboot' : 'supervisor' };
    case 'ended': {
      const ran = words[4] === '-' ? {} : { ran: whole(words[4]) };
      return {
        state: 'ended',
        code: whole(words[1]),
        age: whole(words[2]),
        how: endKind(words[3]),
        ...ran,
        try: whole(words[5]),
      };
    }
    default:
      throw new ProtocolError(`unknown state of a job: ${words.join(' ')}`);
  }
}

/**
 * What a node has that resumes its staged jobs at boot: a line of the user's crontab (`idle`: and no cron was seen that would
 * act on it), a user unit of systemd, one that stays for another cluster, none any more, or none as before.
 */
export type AtBoot = 'cron' | 'idle' | 'systemd' | 'kept' | 'removed' | 'none';

/** Parses the answer to `at_boot`. */
export function atBoot(words: readonly string[]): AtBoot {
  const word = words.at(-1);
  const known = (['cron', 'idle', 'systemd', 'kept', 'removed', 'none'] as const).find((way) => way === word);
  if (known === undefined) throw new ProtocolError(`not what becomes of a boot: ${words.join(' ')}`);
  return known;
}

/** Parses an event line, or returns undefined when it is none. */
export function parseEvent(words: readonly string[]): NodeEvent | undefined {
  const [tag, uuid = ''] = words;
  switch (tag) {
    case 'S':
      return { kind: 'started', uuid, age: whole(words[2]), try: whole(words[3]) };
    case 'R':
      return { kind: 'ready', uuid, try: whole(words[2]) };
    case 'T':
      return {
        kind: 'retrying',
        uuid,
        try: whole(words[2]),
        code: whole(words[3]),
        pauseS: whole(words[4]),
      };
    case 'B':
      return { kind: 'busy', uuid, device: words[2] ?? '', ...(words[3] ? { user: words[3] } : {}) };
    case 'X':
      return {
        kind: 'ended',
        uuid,
        code: whole(words[2]),
        age: whole(words[3]),
        how: endKind(words[4]),
        try: whole(words[5]),
        next: words.slice(6).map(stagedStart),
      };
    case 'W':
      return { kind: 'unwritten', uuid, unwritten: words[2] === '1' };
    case 'G':
      return { kind: 'taken', ...stagedStart(uuid) };
    default:
      return undefined;
  }
}
