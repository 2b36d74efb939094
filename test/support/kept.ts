import type { Memento, SecretStorage } from 'vscode';

/** What VS Code keeps for the extension, in memory: a secret storage with one entry for all logins, and a memento. */
export interface Kept {
  readonly secrets: Pick<SecretStorage, 'get' | 'store' | 'delete'>;
  readonly memory: Pick<Memento, 'get' | 'update'>;
  /** The logins that are kept. */
  all(): unknown;
  /** The values that are kept in the clear. */
  plain(): unknown[];
}

export function keptIn(logins?: Readonly<Record<string, string>> | string): Kept {
  const entries = new Map<string, string>();
  if (logins !== undefined)
    entries.set('logins', typeof logins === 'string' ? logins : JSON.stringify(logins));
  const plain = new Map<string, unknown>();
  return {
    secrets: {
      get: (key) => Promise.resolve(entries.get(key)),
      store: (key, value) => {
        entries.set(key, value);
        return Promise.resolve();
      },
      delete: (key) => {
        entries.delete(key);
        return Promise.resolve();
      },
    },
    memory: {
      get: <T>(key: string, otherwise?: T): T => (plain.get(key) ?? otherwise) as T,
      update: (key: string, value: unknown) => {
        if (value === undefined) plain.delete(key);
        else plain.set(key, value);
        return Promise.resolve();
      },
    },
    all: () => JSON.parse(entries.get('logins') ?? '{}') as unknown,
    plain: () => [...plain.values()],
  };
}
