import { readFileSync } from 'node:fs';
import path from 'node:path';
import ignore, { type Ignore } from 'ignore';

interface Rules {
  readonly base: string;
  readonly matcher: Ignore;
}

/**
 * What stays out of a snapshot: what `.skyignore` at the root names; without one, what the `.gitignore` files and
 * `.git/info/exclude` name, as with SkyPilot. Paths are relative to the root, with `/`.
 */
export class IgnoreRules {
  private constructor(
    private readonly root: string,
    private readonly rules: readonly Rules[],
    private readonly nested: boolean,
    private readonly leaveOutGit: boolean,
  ) {}

  /** The rules that hold at the root. */
  static at(root: string, leaveOutGit: boolean): IgnoreRules {
    const skyignore = textOf(path.join(root, '.skyignore'));
    const text = skyignore ?? textOf(path.join(root, '.git', 'info', 'exclude'));
    const rules = text === undefined ? [] : [{ base: '', matcher: ignore().add(text) }];
    return new IgnoreRules(root, rules, skyignore === undefined, leaveOutGit);
  }

  /** No rules, but that `.git` may stay out. */
  static none(leaveOutGit: boolean): IgnoreRules {
    return new IgnoreRules('', [], false, leaveOutGit);
  }

  /** The rules that hold in a folder: those from above and its own. `own`: whether it has a `.gitignore`. */
  inside(folder: string, own: boolean): IgnoreRules {
    const text = own && this.nested ? textOf(path.join(this.root, folder, '.gitignore')) : undefined;
    if (text === undefined) return this;
    const rules = [...this.rules, { base: folder, matcher: ignore().add(text) }];
    return new IgnoreRules(this.root, rules, this.nested, this.leaveOutGit);
  }

  /** Whether an entry stays out. The last rule that speaks decides, the deepest file last (gitignore(5)). */
  omits(inside: string, directory: boolean): boolean {
    if (this.leaveOutGit && (inside === '.git' || inside.endsWith('/.git'))) return true;
    let verdict = false;
    for (const { base, matcher } of this.rules) {
      const relative = base === '' ? inside : inside.slice(base.length + 1);
      const result = matcher.test(directory ? `${relative}/` : relative);
      if (result.ignored) verdict = true;
      else if (result.unignored) verdict = false;
    }
    return verdict;
  }
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
