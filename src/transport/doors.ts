import { gaveUp } from './socket';

// sshd turns connections away at random from the tenth on that has not logged in (MaxStartups 10:30:100), and it counts some
// for a moment longer than this side does.
const AT_ONCE = 5;

interface Door {
  inside: number;
  readonly waiting: (() => void)[];
}

const doors = new Map<string, Door>();

/**
 * Logs in to a host, but to each with a few at once only: fifty nodes behind one jump host are fifty logins there.
 * @throws ConnectError when `signal` aborts first, and whatever `work` throws
 */
export async function throughDoor<T>(
  node: string,
  host: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const door = doors.get(host) ?? { inside: 0, waiting: [] };
  doors.set(host, door);
  if (door.inside >= AT_ONCE) await turn(node, door, signal);
  else door.inside++;
  try {
    return await work();
  } finally {
    // Whoever is next takes this one's place.
    const next = door.waiting.shift();
    if (next) next();
    else if (--door.inside === 0) doors.delete(host);
  }
}

function turn(node: string, door: Door, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const enter = (): void => {
      signal?.removeEventListener('abort', leave);
      resolve();
    };
    const leave = (): void => {
      door.waiting.splice(door.waiting.indexOf(enter), 1);
      reject(gaveUp(node));
    };
    if (signal?.aborted === true) {
      reject(gaveUp(node));
      return;
    }
    signal?.addEventListener('abort', leave, { once: true });
    door.waiting.push(enter);
  });
}
