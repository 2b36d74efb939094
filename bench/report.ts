import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Case, Outcome, Series } from './case';
import { plot } from './plot';
import { judge, median, quantile, short } from './statistics';

/** One case's figures as they are kept, so that running one case leaves the others' in the report. */
interface Kept {
  readonly name: string;
  readonly at: string;
  readonly machine: string;
  readonly series: readonly Series[];
  readonly notes: readonly string[];
}

/** Keeps a case's figures and its plot below `folder`. */
export function keep(folder: string, one: Case, outcome: Outcome): void {
  const figures = path.join(folder, 'figures');
  mkdirSync(figures, { recursive: true });
  const rounded = outcome.series.map((series) => ({
    ...series,
    samples: series.samples.map((sample) => Number(sample.toPrecision(4))),
  }));
  const kept: Kept = {
    name: one.name,
    at: new Date().toISOString().slice(0, 16).replace('T', ' '),
    machine: machine(),
    series: rounded,
    notes: outcome.notes ?? [],
  };
  writeFileSync(path.join(figures, `${one.name}.json`), `${JSON.stringify(kept)}\n`);
  writeFileSync(path.join(figures, `${one.name}.svg`), plot(one.title, outcome.series));
}

/** Writes results.md from all figures that are kept below `folder`. */
export function writeReport(folder: string, cases: readonly Case[]): void {
  const figures = path.join(folder, 'figures');
  const files = existsSync(figures) ? readdirSync(figures) : [];
  const sections = cases.flatMap((one) =>
    files.includes(`${one.name}.json`)
      ? [section(one, JSON.parse(readFileSync(path.join(figures, `${one.name}.json`), 'utf8')) as Kept)]
      : [],
  );
  writeFileSync(
    path.join(folder, 'results.md'),
    [
      '# Benchmark results',
      'Written by `npm run bench`. A machine’s absolute figures mean nothing elsewhere: both sides of a case run on the same machine, in turns, in the same run; read the ratios. `p25`–`p75` is the middle half of the samples.',
      `Versions: ${versions()}.`,
      ...sections,
    ].join('\n\n') + '\n',
  );
}

/** One case's figures as Markdown. */
export function section(one: Case, { series, notes, at, machine: where }: Kept): string {
  const rows = series.map(
    ({ label, unit, samples }) =>
      `| ${label} | ${short(median(samples))} ${unit} | ${short(quantile(samples, 0.25))}–${short(quantile(samples, 0.75))} | ${samples.length} |`,
  );
  const targets = one.target.map((target) => {
    const { text, value, met } = judge(target, series);
    const verdict = met === undefined ? 'not measured' : met ? 'met' : '**missed**';
    return `| ${text} | ${short(value)} | ${verdict} |`;
  });
  return [
    `## ${one.name}: ${one.title}`,
    `Beside: ${one.peer}. Floor: ${one.floor}. Measured ${at} UTC on ${where}.`,
    ['| | median | p25–p75 | samples |', '|---|---|---|---|', ...rows].join('\n'),
    ...(targets.length === 0 ? [] : [['| target | reached | |', '|---|---|---|', ...targets].join('\n')]),
    ...notes,
    ...(one.why === undefined ? [] : [one.why]),
    `![${one.title}](figures/${one.name}.svg)`,
  ].join('\n\n');
}

/** The same for a terminal: a line per series and per target. */
export function printed(one: Case, outcome: Outcome): string {
  const lines = outcome.series.map(
    ({ label, unit, samples }) =>
      `  ${label.padEnd(48)} ${short(median(samples)).padStart(9)} ${unit}  (${short(quantile(samples, 0.25))}–${short(quantile(samples, 0.75))}, ${samples.length})`,
  );
  const targets = one.target.map((target) => {
    const { text, value, met } = judge(target, outcome.series);
    return `  ${met === undefined ? '?' : met ? '✓' : '✗'} ${text}: ${short(value)}`;
  });
  return [`${one.name}: ${one.title}`, ...lines, ...targets].join('\n');
}

function machine(): string {
  return `${os.cpus().length} × ${(os.cpus()[0]?.model ?? 'CPU').trim()}, Linux ${os.release()}`;
}

function versions(): string {
  const commands: readonly [string, string[]][] = [
    ['ssh', ['-V']],
    ['tsp', ['-V']],
    ['parallel', ['--version']],
    ['sbatch', ['--version']],
    ['rsync', ['--version']],
  ];
  const found = commands.flatMap(([program, flags]) => {
    try {
      const text = execFileSync('sh', ['-c', `${program} ${flags.join(' ')} 2>&1`], { encoding: 'utf8' });
      const line = text.split('\n')[0]?.trim() ?? '';
      return [line.startsWith(program) || line.includes(' ') ? line.slice(0, 60) : `${program} ${line}`];
    } catch {
      return [];
    }
  });
  return [`Node ${process.version}`, ...found].join('; ');
}
