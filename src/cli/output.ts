import { Option } from 'commander';

/** How a list is printed. */
export interface OutputFlags {
  readonly json?: boolean;
  readonly output?: 'table' | 'json';
}

/** SkyPilot's `-o json`, which says what `--json` does; it has no line in the help of its own. */
export function outputOption(): Option {
  return new Option('-o, --output <format>').choices(['table', 'json']).hideHelp();
}

/** Whether JSON is asked for, in either way. */
export function wantsJson({ json, output }: OutputFlags): boolean {
  return json === true || output === 'json';
}
