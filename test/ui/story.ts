import type { Workbench } from './workbench';

/**
 * Makes the suite that is being defined one story: each part begins where the one before it ended, so none is played after
 * one that failed. Of that one there is a picture, `failed-TITLE` with the suffix, and what the window said is printed, for
 * whoever has only CI's log. (Mocha's own `bail` leaves out every suite that has it once anything has failed, without a word.)
 */
export function story(window: () => Workbench | undefined, suffix = ''): void {
  let broken = false;
  beforeEach(function () {
    if (broken) this.skip();
  });
  afterEach(async function () {
    if (!this.currentTest?.isFailed()) return;
    broken = true;
    await tellFailure(window(), `${this.currentTest.title}${suffix}`);
  });
}

/** A picture of a window in which something failed, and its words. Never rejects. */
export async function tellFailure(window: Workbench | undefined, title: string): Promise<void> {
  if (!window) return;
  try {
    await window.screenshot(`failed-${title.replace(/\W+/g, '-')}`);
    console.log((await window.words()).replace(/^/gm, '      | '));
  } catch (error) {
    console.log(`      no picture of it: ${error instanceof Error ? error.message : String(error)}`);
  }
}
