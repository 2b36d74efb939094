import type { Series } from './case';
import { median, quantile, short } from './statistics';

const WIDTH = 760;
const LEFT = 280;
const RIGHT = 110;
const ROW = 26;

/** An SVG of the medians as bars on a logarithmic scale, with the middle half of the samples as a line on each. */
export function plot(title: string, series: readonly Series[]): string {
  const shown = series.filter(({ samples }) => median(samples) > 0);
  const units = [...new Set(shown.map(({ unit }) => unit))];
  const rows = units.flatMap((unit) => block(shown.filter((one) => one.unit === unit)));
  const height = 44 + rows.length * ROW;
  const text = (x: number, y: number, words: string, more = ''): string =>
    `<text x="${x}" y="${y}" ${more}>${escaped(words)}</text>`;
  const body = rows.flatMap(({ label, unit, value, bar, from, to }, index) => {
    const y = 36 + index * ROW;
    return [
      text(LEFT - 8, y + 14, label, 'text-anchor="end"'),
      `<rect x="${LEFT}" y="${y + 2}" width="${bar.toFixed(1)}" height="16" rx="2" fill="#3f7fbf"/>`,
      `<line x1="${from.toFixed(1)}" x2="${to.toFixed(1)}" y1="${y + 10}" y2="${y + 10}" stroke="#102a43" stroke-width="2"/>`,
      text(Math.max(LEFT + bar, to) + 6, y + 14, `${short(value)} ${unit}`),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(12, 20, `${title} (logarithmic)`, 'font-weight="bold"'),
    ...body,
    '</svg>\n',
  ].join('\n');
}

interface Row {
  label: string;
  unit: string;
  value: number;
  bar: number;
  from: number;
  to: number;
}

/** Rows of one unit share a scale, which begins a third of the least value's decade below it. */
function block(series: readonly Series[]): Row[] {
  const least = Math.min(...series.map(({ samples }) => quantile(samples, 0.25) || median(samples))) / 2;
  const most = Math.max(...series.map(({ samples }) => quantile(samples, 0.75)));
  const span = Math.max(Math.log(most / least), 1e-9);
  const length = (value: number): number =>
    (Math.max(0, Math.log(Math.max(value, least) / least)) / span) * (WIDTH - LEFT - RIGHT);
  return series.map(({ label, unit, samples }) => ({
    label,
    unit,
    value: median(samples),
    bar: length(median(samples)),
    from: LEFT + length(quantile(samples, 0.25)),
    to: LEFT + length(quantile(samples, 0.75)),
  }));
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
