// The machine's browsers: Chromium for the tests, whatever a person has set for `npm start`.
import process from 'node:process';
import { spawn } from 'node:child_process';
import { findProgram } from './processes.mjs';

const macPrograms = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
];

/** Path of a Chromium-based browser that Playwright can drive, or undefined. */
export function findChromium() {
  return findProgram(
    'chromium',
    'chromium-browser',
    'google-chrome',
    'google-chrome-stable',
    'microsoft-edge',
    ...(process.platform === 'darwin' ? macPrograms : []),
  );
}

/** Arguments that keep a headless Chromium to its page: no updates, no sync, and root allowed. */
export const chromiumArgs = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Chromium's sandbox refuses to run as root.
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
];

/** Opens the address in the person's browser; false when there is no screen or nothing to open it with. */
export async function openInBrowser(url) {
  const hasScreen =
    process.platform === 'darwin' ||
    process.platform === 'win32' ||
    Boolean(process.env.DISPLAY ?? process.env.WAYLAND_DISPLAY);
  if (!hasScreen) return false;
  const chromium = findChromium();
  const openers = [
    ...(process.platform === 'darwin' ? [['open', url]] : []),
    ...(process.platform === 'linux'
      ? [
          ['xdg-open', url],
          ['wslview', url],
        ]
      : []),
    ...(chromium ? [[chromium, ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), url]] : []),
  ];
  for (const [name, ...args] of openers) {
    const program = findProgram(name);
    if (program && (await opens(program, args))) return true;
  }
  return false;
}

/** An opener that fails says so within seconds; one that is still running by then shows the page. */
function opens(program, args) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'ignore', detached: true });
    child.unref();
    const timer = setTimeout(() => resolve(true), 3000);
    child.once('error', () => resolve(false));
    child.once('exit', (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });
}
