// The program `cq`. Bundled to dist/cq.js, which the extension ships.
import { run } from './program';

// Whatever is still open by then is of no use to anybody.
const LINGER_MS = 500;

void run(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
  setTimeout(() => process.exit(), LINGER_MS).unref();
});
