import { logSize, type Engine } from '../engine';
import type { Grown } from './protocol';

// Readers wake up this often at most, however many lines a job prints; the first one at once.
const EVERY_MS = 15;

/** Holds a job's mirror and tells how far its file has grown. Returns how to let go. @throws QueueError `no-job` */
export function followMirror(
  engine: Engine,
  cluster: string,
  id: number,
  grown: (to: Omit<Grown, 'log'>) => void,
): () => void {
  const { mirror, release } = engine.log(cluster, id);
  let size = logSize(mirror.file) ?? 0;
  let told = -1;
  let timer: NodeJS.Timeout | undefined;
  const tell = (): void => {
    if (told === size && !mirror.complete) return;
    told = size;
    grown({ size, ended: mirror.complete });
  };
  const soon = (): void => {
    if (timer) return;
    tell();
    timer = setTimeout(() => {
      timer = undefined;
      if (told !== size) soon();
    }, EVERY_MS);
  };
  const stops = [
    mirror.onAppend(({ at, bytes }) => {
      size = at + bytes.length;
      soon();
    }),
    mirror.onEnd(() => {
      size = Math.max(size, logSize(mirror.file) ?? 0);
      tell();
    }),
  ];
  soon();
  return () => {
    clearTimeout(timer);
    for (const stop of stops) stop();
    release();
  };
}
