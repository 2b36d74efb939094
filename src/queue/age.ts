/** Largest first, in ms. Weeks and months are counted from 7 and 30 days, as SkyPilot's tables do. */
const UNITS = [
  ['year', 365 * 86_400_000],
  ['month', 30 * 86_400_000],
  ['week', 7 * 86_400_000],
  ['day', 86_400_000],
  ['hr', 3_600_000],
  ['min', 60_000],
  ['sec', 1000],
] as const;

/** How long ago, in one unit, as SkyPilot writes it: `10 secs ago`, `1 min ago`, `2 hrs ago`, `3 days ago`. */
export function age(ms: number): string {
  for (const [name, size] of UNITS) {
    const count = Math.floor(ms / size);
    if (count >= 1) return `${count} ${name}${count === 1 ? '' : 's'} ago`;
  }
  return '< 1 sec ago';
}

/** How long, exactly to the second, as SkyPilot writes it: `1h 2m 23s`. Parts that are zero are left out. */
export function duration(ms: number): string {
  let rest = Math.floor(ms / 1000);
  if (rest < 1) return '< 1s';
  const parts: string[] = [];
  for (const [suffix, size] of [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ] as const) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count}${suffix}`);
  }
  return parts.join(' ');
}

/** What a row says of a time, and for how many ms from now that stays true. */
export interface Rough {
  readonly text: string;
  readonly forMs: number;
}

const [STEP, MINUTE, HOUR, DAY] = [10_000, 60_000, 3_600_000, 86_400_000];

/** As `age`, but of the first minute in steps of ten seconds: a row is drawn again for each step. */
export function roughAge(ms: number): Rough {
  const [larger, unit] = [
    UNITS.filter(([, size]) => size > ms).at(-1)?.[1] ?? Infinity,
    UNITS.find(([, size]) => ms >= size)?.[1] ?? STEP,
  ];
  const step = Math.max(STEP, unit);
  const past = ms - (ms % step);
  const text = ms < STEP ? '< 10 secs ago' : age(ms < MINUTE ? past : ms);
  return { text, forMs: Math.min(past + step, larger > MINUTE ? larger : Infinity) - ms };
}

/** As `duration`, in steps of ten seconds, from a minute on of minutes, and from a day on of hours. */
export function roughDuration(ms: number): Rough {
  const step = ms < MINUTE ? STEP : ms < DAY ? MINUTE : HOUR;
  const past = ms - (ms % step);
  return { text: ms < STEP ? '< 10s' : duration(past), forMs: past + step - ms };
}

/** A time limit of whole seconds, as it is given: `4h`, `1h30m`. */
export function timeLimitText(seconds: number): string {
  return duration(seconds * 1000).replaceAll(' ', '');
}
