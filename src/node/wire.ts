/**
 * The line protocol between the engine and a node's agent session (agent.sh), version CQ1.
 *
 * Requests, one per line:  `ID VERB WORD…`; a word holds no white space (see `encodeWord`).
 * Answers and events, one per line:
 *   `CQ1 have|need|fail TEXT`, `CQ1 ready BOOT NODE`   the bootstrap; all lines before the first are a shell's noise
 *   `= ID ok WORDS` / `= ID err CODE TEXT`             the end of an answer
 *   `+ ID WORDS`                                       one of its lines before
 *   `S UUID AGE`                                       the job began AGE seconds ago
 *   `R UUID`                                           a gang's rank holds its devices and waits for `go`
 *   `B UUID DEVICE`                                    the launch was refused: somebody else has the device
 *   `X UUID CODE AGE HOW`                              the last process of the job is gone; HOW: exit cancelled rc no-go
 *   `D SLOT OFFSET LENGTH` and LENGTH raw bytes        a piece of a followed log
 *   `E SLOT SIZE`                                      the followed log is complete
 */

/** What a node says of one job. Ages and durations in whole seconds on the node's own monotonic clock. */
export type NodeJobState =
  | { readonly state: 'unknown' }
  /** Its folder is there, but no supervisor ever claimed it. */
  | { readonly state: 'new' }
  /** Supervised, not begun: a gang's rank that waits, or a launch in its first milliseconds. */
  | { readonly state: 'waiting' }
  | { readonly state: 'running'; readonly age: number }
  | {
      readonly state: 'ended';
      readonly code: number;
      readonly age: number;
      readonly how: EndKind;
      readonly ran?: number;
    }
  /** It began and left no end: the node was rebooted, or somebody killed the supervisor. */
  | { readonly state: 'dead'; readonly cause: 'reboot' | 'supervisor' };

/** How a job ended: by itself, by cancel, in `~/.bashrc` before the task began, or as a gang's rank that got no `go`. */
export type EndKind = 'exit' | 'cancelled' | 'rc' | 'no-go';

/** Pushed by the node. */
export type NodeEvent =
  | { readonly kind: 'started'; readonly uuid: string; readonly age: number }
  | { readonly kind: 'ready'; readonly uuid: string }
  | { readonly kind: 'busy'; readonly uuid: string; readonly device: string }
  | {
      readonly kind: 'ended';
      readonly uuid: string;
      readonly code: number;
      readonly age: number;
      readonly how: EndKind;
    };

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

const END_KINDS: readonly EndKind[] = ['exit', 'cancelled', 'rc', 'no-go'];

function endKind(word: string | undefined): EndKind {
  const kind = END_KINDS.find((known) => known === word);
  if (kind === undefined) throw new ProtocolError(`unknown end of a job: ${word ?? 'nothing'}`);
  return kind;
}

function whole(word: string | undefined): number {
  if (word === undefined || !/^-?\d+$/.test(word))
    throw new ProtocolError(`not a whole number: ${word ?? 'nothing'}`);
  return Number(word);
}

/** Parses the words of a job's state, as in the answers to `start`, `cancel` and `query`. */
export function parseJobState(words: readonly string[]): NodeJobState {
  switch (words[0]) {
    case 'unknown':
    case 'new':
    case 'waiting':
      return { state: words[0] };
    case 'running':
      return { state: 'running', age: whole(words[1]) };
    case 'dead':
      return { state: 'dead', cause: words[1] === 'reboot' ? 'reboot' : 'supervisor' };
    case 'ended': {
      const ran = words[4] === undefined || words[4] === '-' ? {} : { ran: whole(words[4]) };
      return { state: 'ended', code: whole(words[1]), age: whole(words[2]), how: endKind(words[3]), ...ran };
    }
    default:
      throw new ProtocolError(`unknown state of a job: ${words.join(' ')}`);
  }
}

/** Parses an event line, or returns undefined when it is none. */
export function parseEvent(words: readonly string[]): NodeEvent | undefined {
  const [tag, uuid = ''] = words;
  switch (tag) {
    case 'S':
      return { kind: 'started', uuid, age: whole(words[2]) };
    case 'R':
      return { kind: 'ready', uuid };
    case 'B':
      return { kind: 'busy', uuid, device: words[2] ?? '' };
    case 'X':
      return { kind: 'ended', uuid, code: whole(words[2]), age: whole(words[3]), how: endKind(words[4]) };
    default:
      return undefined;
  }
}
