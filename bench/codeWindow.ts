import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { Locator } from 'playwright-core';
import { buildBundle } from '../test/support/bundle';
import { openWorkbench, type Workbench } from '../test/ui/workbench';
import { pause } from './lab';

/** What of an extension's activation is its own code: loading it, and the call of `activate`. */
export interface Activation {
  readonly ms: number;
  /** Of those, when its thread was on a CPU: what else the machine does is not in it. */
  readonly cpuMs: number;
  readonly loadMs: number;
}

/** Of the extension host, after a garbage collection, in bytes. */
export interface Memory {
  /** What the system has given the process. */
  readonly resident: number;
  /** JavaScript objects, and what they hold outside of the heap. */
  readonly heap: number;
}

/** Extensions of the benchmark: see their main.js. */
const PROBE = path.resolve('bench/extensions/probe');
const BARE = path.resolve('bench/extensions/bare');

/** Puts what ships into a folder, as it is installed. */
export function installed(folder: string): string {
  mkdirSync(folder, { recursive: true });
  for (const part of ['package.json', 'package.nls.json', 'media'])
    cpSync(part, path.join(folder, part), { recursive: true });
  buildBundle(path.join(folder, 'dist'));
  return folder;
}

/** A real VS Code with this extension as it ships, a bare one, and a probe in the same extension host. */
export class CodeWindow {
  private constructor(
    readonly workbench: Workbench,
    private readonly folder: string,
    private readonly extension: string,
  ) {}

  /** `env`: where the extension finds its state and its ssh config. */
  static async open(extension: string, env: NodeJS.ProcessEnv): Promise<CodeWindow> {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'cq-bench-window-'));
    const workbench = await openWorkbench({
      workspace: path.resolve('examples'),
      extensionDir: extension,
      besides: [BARE, PROBE],
      env: {
        ...env,
        CQ_BENCH_SOCKET: path.join(folder, 'probe'),
        CQ_BENCH_WATCHED: [extension, BARE].join(path.delimiter),
      },
    });
    return new CodeWindow(workbench, folder, extension);
  }

  async close(): Promise<void> {
    await this.workbench.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Waits until both have been activated. */
  async activations(): Promise<{ ours: Activation; bare: Activation }> {
    for (let tries = 0; tries < 300; tries++) {
      const { activations } = (await this.ask().catch(() => undefined)) ?? {};
      const [ours, bare] = [activations?.[this.extension], activations?.[BARE]];
      if (ours && bare) return { ours, bare };
      await pause(100);
    }
    throw new Error('VS Code did not activate the extensions within half a minute');
  }

  async memory(): Promise<Memory> {
    return (await this.ask()).memory;
  }

  /** ms from the click to the frame in which a row whose label begins so is there. */
  async clickToRow(target: Locator, label: string): Promise<number> {
    const { page } = this.workbench;
    await page.evaluate(watchFor(`[role="treeitem"][aria-label^="${label}"]`));
    await target.click();
    return page.evaluate<number>('shown');
  }

  private async ask(): Promise<{ activations: Record<string, Activation | undefined>; memory: Memory }> {
    const socket = connect(path.join(this.folder, 'probe'));
    return JSON.parse(await text(socket)) as Awaited<ReturnType<CodeWindow['ask']>>;
  }
}

/** For the page: `shown` becomes ms from the next click to the frame in which something matches the selector. */
function watchFor(selector: string): string {
  return `shown = new Promise((resolve) => {
    const clicked = ({ timeStamp }) => {
      const look = () => {
        if (!document.querySelector(${JSON.stringify(selector)})) return;
        observer.disconnect();
        requestAnimationFrame(() => resolve(performance.now() - timeStamp));
      };
      const observer = new MutationObserver(look);
      observer.observe(document.body, { childList: true, subtree: true, attributes: true });
    };
    document.addEventListener('click', clicked, { capture: true, once: true });
  }), undefined`;
}
