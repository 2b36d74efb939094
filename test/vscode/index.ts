import fs from 'node:fs';
import path from 'node:path';

/**
 * Runs the suite in the extension host that loaded this module (`extensionTestsPath`), desktop or server.
 * @throws when a test failed, so that the host's exit code says so
 */
export async function run(): Promise<void> {
  process.setSourceMapsEnabled(true);
  // Mocha is an ES module and this bundle is CommonJS.
  const { default: Mocha } = await import('mocha');
  const root = path.resolve(__dirname, '../../..');
  const mocha = new Mocha({
    timeout: 60_000,
    // Told by their colours, its lines are found among all that the workbench logs.
    color: true,
    forbidOnly: process.env.CI !== undefined,
    reporter: path.join(root, 'scripts/mochaReporter.mjs'),
    ...(process.env.CLUSTER_QUEUE_TEST_GREP ? { grep: process.env.CLUSTER_QUEUE_TEST_GREP } : {}),
  });
  for (const file of fs.readdirSync(__dirname, { recursive: true, encoding: 'utf8' }).sort()) {
    if (file.endsWith('.test.js')) mocha.addFile(path.join(__dirname, file));
  }
  const failures = await new Promise<number>((resolve) => mocha.run(resolve));
  if (failures > 0) throw new Error(`${failures} tests failed`);
}
