import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type Locator, type Page } from 'playwright-core';

type Scripts = typeof import('../../scripts/vscodeServer.mjs') & typeof import('../../scripts/browser.mjs');

// Where tests and the benchmark are run.
const root = process.cwd();
const pictures = path.join(root, 'out', 'pictures');

/** What a workbench opens with. */
export interface WorkbenchOptions {
  /** Folder to open; it is copied, so that the original stays as it is. */
  workspace: string;
  /** Files to have in the copy besides, by name. */
  files?: Record<string, string>;
  /** User settings on top of the quiet ones. */
  settings?: Record<string, unknown>;
  /** Colour theme by its label, such as "Default Light Modern". */
  theme?: string;
  /** Source folder of the extension; this one by default. */
  extensionDir?: string;
  /** Folders of extensions to have besides. */
  besides?: readonly string[];
  /** Environment of the extension, on top of this process's with a home of its own. */
  env?: NodeJS.ProcessEnv;
}

/** Opens VS Code, its server run for this one window, in a headless Chromium. Close it, or the server stays. */
export async function openWorkbench(options: WorkbenchOptions): Promise<Workbench> {
  const { startServer, chromiumArgs, findChromium } = await loadScripts();
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'cluster-queue-ui-'));
  const folder = path.join(scratch, path.basename(options.workspace));
  const home = path.join(scratch, 'home');
  fs.mkdirSync(home);
  fs.cpSync(options.workspace, folder, { recursive: true });
  for (const [name, text] of Object.entries(options.files ?? {}))
    fs.writeFileSync(path.join(folder, name), text);
  const server = await startServer({
    userDir: path.join(scratch, 'vscode'),
    folder,
    extensionDir: options.extensionDir ?? root,
    besides: options.besides ?? [],
    // As an extension under development it would come with the test driver, under which no notification pops up.
    install: true,
    settings: { ...options.settings, ...(options.theme ? { 'workbench.colorTheme': options.theme } : {}) },
    env: { ...process.env, ...homeAt(home), ...options.env },
  });
  const owned: (() => Promise<void>)[] = [server.stop];
  const close = async (): Promise<void> => {
    for (const end of owned.reverse()) await end();
    fs.rmSync(scratch, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const executablePath = findChromium();
    if (!executablePath) throw new Error('No Chromium to open the workbench with.');
    const browser = await chromium.launch({ executablePath, args: chromiumArgs });
    owned.push(() => browser.close());
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1.5 });
    page.setDefaultTimeout(20_000);
    await page.goto(server.url);
    const workbench = new Workbench(page, folder, home, close);
    await workbench.waitForExplorer();
    return workbench;
  } catch (error) {
    await close();
    throw error;
  }
}

/** An environment in which the extension keeps its state and finds its SSH config there, not with the person. */
function homeAt(home: string): NodeJS.ProcessEnv {
  const sshConfig = path.join(home, 'ssh_config');
  fs.writeFileSync(sshConfig, '');
  return { HOME: home, CLUSTER_QUEUE_HOME: path.join(home, 'queue'), CLUSTER_QUEUE_SSH_CONFIG: sshConfig };
}

/** The scripts are ES modules that know the repository by their own place: they are loaded, not bundled. */
async function loadScripts(): Promise<Scripts> {
  const load = async (name: string): Promise<unknown> =>
    import(pathToFileURL(path.join(root, 'scripts', name)).href) as Promise<unknown>;
  return { ...((await load('vscodeServer.mjs')) as Scripts), ...((await load('browser.mjs')) as Scripts) };
}

/** VS Code's window, with what a person does in it. Each method waits for what it needs and throws when that never comes. */
export class Workbench {
  constructor(
    readonly page: Page,
    /** The copy of the workspace that the window shows. */
    readonly folder: string,
    /** The home folder of the extension and of its jobs on this machine. */
    readonly home: string,
    private readonly dispose: () => Promise<void>,
  ) {}

  /** Waits until the explorer lists the workspace's files. */
  async waitForExplorer(): Promise<void> {
    await this.page.locator('.explorer-folders-view .monaco-list-row').first().waitFor({ timeout: 60_000 });
  }

  /** Opens a file from the explorer in an editor that stays. */
  async openFile(name: string): Promise<void> {
    await this.openView('Explorer');
    await this.file(name).dblclick();
    await this.page.getByRole('tab', { name, exact: false }).first().waitFor();
    await this.page.locator('.monaco-editor .view-lines').first().waitFor();
  }

  /** Right-clicks a file in the explorer; `pick` clicks an item of the menu that opens. */
  async rightClickFile(name: string): Promise<ContextMenu> {
    await this.openView('Explorer');
    return this.rightClick(this.file(name));
  }

  /** Right-clicks anything; `pick` clicks an item of the menu that opens. */
  async rightClick(target: Locator): Promise<ContextMenu> {
    const menu = this.page.getByRole('menu').last();
    const open = async (): Promise<void> => {
      await target.click({ button: 'right' });
      await menu.waitFor();
    };
    await open();
    return {
      items: async () => menu.getByRole('menuitem').allInnerTexts(),
      pick: async (item) => {
        const entry = menu.getByRole('menuitem', { name: item }).first();
        await this.untilThere(entry, open);
        await entry.click();
        // For a tenth of a second after it opens, a menu takes a click for the end of the one that opened it.
        if (!(await reaches(menu, 'hidden', 500))) await entry.click();
      },
    };
  }

  /** Picks the entry of the open quick pick that contains the text. */
  async quickPick(text: string | RegExp): Promise<void> {
    const widget = this.page.locator('.quick-input-widget');
    await widget.getByRole('option').filter({ hasText: text }).first().click();
    await widget.waitFor({ state: 'hidden' });
  }

  /** Types into the open input box and accepts it. */
  async enter(text: string): Promise<void> {
    const input = this.page.locator('.quick-input-widget input');
    await input.fill(text);
    await input.press('Enter');
  }

  /** Runs a command by its title, as from the palette. */
  async runCommand(title: string): Promise<void> {
    const widget = this.page.locator('.quick-input-widget');
    const entry = widget.getByRole('option').filter({ hasText: title }).first();
    const open = async (): Promise<void> => {
      await this.page.keyboard.press('F1');
      await widget.locator('input').first().fill(`>${title}`);
    };
    await open();
    await this.untilThere(entry, open);
    await entry.click();
  }

  /** Shows a view container of the activity bar, such as "Explorer" or "Cluster Queue". */
  async openView(title: string): Promise<void> {
    const tab = this.page.locator('.activitybar').getByRole('tab', { name: new RegExp(`^${title}`) });
    await tab.waitFor();
    if ((await tab.getAttribute('aria-selected')) !== 'true') await tab.click();
  }

  /** A row of the side bar's trees; a locator, so it can be waited for, hovered and right-clicked. */
  treeItem(name: string | RegExp): Locator {
    return this.page.locator('.sidebar').getByRole('treeitem', { name }).first();
  }

  /** Clicks an inline action of a row, which shows only while the mouse is over it. */
  async inlineAction(row: Locator, action: string | RegExp): Promise<void> {
    await row.hover();
    await row.getByRole('button', { name: action }).first().click();
  }

  /** Waits for a row's tooltip with this text; it goes when the row is drawn again. */
  async tooltip(row: Locator, text: string): Promise<void> {
    const words = this.page.getByText(text);
    for (let attempt = 0; attempt < 5; attempt++) {
      await this.page.mouse.move(0, 0);
      await row.hover();
      if (await reaches(words, 'visible', 3_000)) return;
    }
    throw new Error(`no tooltip says ${text}`);
  }

  /** Waits for a notification with this text. */
  async notification(text: string | RegExp): Promise<Locator> {
    const toast = this.page.locator('.notification-toast').filter({ hasText: text }).first();
    await toast.waitFor();
    return toast;
  }

  /** Takes away the notifications that are there, for a tidy picture. */
  async clearNotifications(): Promise<void> {
    await this.runCommand('Notifications: Clear All Notifications');
    await this.page.locator('.notification-toast').first().waitFor({ state: 'detached' });
  }

  /** Waits until the open output channel holds the text, scrolled to or not out of sight. */
  async output(text: string | RegExp): Promise<void> {
    const lines = this.page.locator('.output-view-content .view-line, .panel .view-line');
    await lines.filter({ hasText: text }).first().waitFor();
  }

  /** The lines of the open output channel that are in sight, top to bottom, once the last one holds the text. */
  async outputTo(text: string): Promise<string[]> {
    const shown = this.page.locator('.output-view-content .view-line, .panel .view-line');
    const lines = async (): Promise<string[]> => {
      const found = await shown.evaluateAll((elements: LineOfEditor[]) =>
        elements.map((line) => ({ top: line.getBoundingClientRect().top, text: line.textContent ?? '' })),
      );
      // An editor keeps its lines in any order, and its blanks do not break.
      const words = found.sort((a, b) => a.top - b.top).map(({ text }) => text.replaceAll('\u00a0', ' '));
      return words.filter((line) => line !== '');
    };
    let last: string[] = [];
    for (let attempt = 0; attempt < 100; attempt++) {
      last = await lines();
      if (last.at(-1)?.includes(text) === true) return last;
      await this.page.waitForTimeout(100);
    }
    throw new Error(`the output does not end with ${text}:\n${last.join('\n')}`);
  }

  /** Opens a channel in the output panel by its name. */
  async openOutput(channel: string): Promise<void> {
    await this.runCommand('Output: Show Output Channels…');
    await this.quickPick(channel);
  }

  /** Saves what the window shows as out/pictures/NAME.png and returns the path. */
  async screenshot(name: string): Promise<string> {
    fs.mkdirSync(pictures, { recursive: true });
    const file = path.join(pictures, `${name}.png`);
    // What fades in or slides is shown as it will be.
    await this.page.screenshot({ path: file, animations: 'disabled' });
    return file;
  }

  /** All words that the window shows, and the notifications that it has shown. */
  async words(): Promise<string> {
    const bell = this.page.locator('.statusbar-item[id="status.notifications"]');
    await bell.click({ timeout: 2_000 }).catch(() => undefined);
    const words = await this.page.locator('.monaco-workbench').first().innerText();
    return words.replace(/\n{2,}/g, '\n');
  }

  /** Closes the window, stops its server and removes its folder. */
  async close(): Promise<void> {
    await this.dispose();
  }

  /** What is offered depends on keys that may come a moment after the window: as a person would, look again. */
  private async untilThere(entry: Locator, open: () => Promise<void>): Promise<void> {
    for (let attempt = 0; attempt < 10 && !(await reaches(entry, 'visible', 500)); attempt++) {
      await this.page.keyboard.press('Escape');
      await open();
    }
  }

  private file(name: string): Locator {
    return this.page.locator('.explorer-folders-view').getByRole('treeitem', { name }).first();
  }
}

/** Whether something comes to be there, or goes, within so many ms. */
export async function reaches(
  target: Locator,
  state: 'visible' | 'hidden',
  timeout: number,
): Promise<boolean> {
  return target.waitFor({ state, timeout }).then(
    () => true,
    () => false,
  );
}

/** What a line of an editor is in the browser, whose types are not those of the tests. */
interface LineOfEditor {
  readonly textContent: string | null;
  getBoundingClientRect(): { readonly top: number };
}

/** An open context menu. */
export interface ContextMenu {
  /** Clicks the item whose name contains or matches this. */
  pick(item: string | RegExp): Promise<void>;
  /** The labels it shows, top to bottom. */
  items(): Promise<string[]>;
}
