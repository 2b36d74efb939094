import type { Store } from '../store';

/**
 * A setting that the store remembers, for a `cq` that opens the queue without VS Code's settings: what is given now, else
 * what was given last, else the fallback.
 */
export function agreedSetting<T extends object>(
  store: Store,
  name: string,
  given: T | undefined,
  fallback: T,
  failed: (error: unknown) => void,
): T {
  const stored = store.setting(name);
  if (given && JSON.stringify(given) !== stored) store.setSetting(name, JSON.stringify(given)).catch(failed);
  return given ?? { ...fallback, ...(stored === undefined ? {} : (JSON.parse(stored) as Partial<T>)) };
}
