import type { JobRecord } from '../queue';
import { QueueError } from './errors';

type Place = Pick<JobRecord, 'priority' | 'order'>;

/**
 * The priority and order that put a job first, one place up, or just before another. Only its own record changes: an
 * order may be a fraction.
 * @throws QueueError `no-job` when the other does not wait
 */
export function placeFor(
  job: JobRecord,
  waiting: readonly JobRecord[],
  move: 'first' | 'up' | number,
): Place {
  const others = waiting
    .filter(({ uuid }) => uuid !== job.uuid)
    .sort((a, b) => b.priority - a.priority || a.order - b.order);
  const index = indexFor(job, others, move);
  const next = others[index];
  const before = others[index - 1];
  if (!next) return { priority: job.priority, order: job.order };
  // Between the two, or ahead of the first; neighbours of another priority do not bound the order.
  const floor = before?.priority === next.priority ? before.order : next.order - 2;
  return { priority: next.priority, order: (floor + next.order) / 2 };
}

function indexFor(job: JobRecord, others: readonly JobRecord[], move: 'first' | 'up' | number): number {
  if (move === 'first') return 0;
  if (move === 'up') {
    const ahead = others.filter(
      (other) =>
        other.priority > job.priority || (other.priority === job.priority && other.order < job.order),
    );
    return Math.max(0, ahead.length - 1);
  }
  const index = others.findIndex(({ id }) => id === move);
  if (index < 0) throw new QueueError('no-job', `job ${move} does not wait on ${job.cluster}`);
  return index;
}
