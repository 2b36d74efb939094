import type { Problem } from './problem';

/** A tab between the dash of a list and its item, which libyaml, and so SkyPilot, refuses. */
export function tabAfterDash(start: number, end: number): Problem {
  return {
    severity: 'error',
    code: 'tab',
    message: 'YAML does not allow a tab after the dash of a list: use a space.',
    start,
    end,
    fixes: [{ title: 'Change to a space', start, end, text: ' ' }],
  };
}
