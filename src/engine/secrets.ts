import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { moveOver } from '../store';

const KEY_BYTES = 32;

/** Seals secrets for the store: AES-256-GCM under a key that lies in a file of its own (0600) beside it. */
export class SecretBox {
  private constructor(private readonly key: Buffer) {}

  /** Reads the key file of a state folder, or makes one. */
  static async open(dir: string): Promise<SecretBox> {
    const file = path.join(dir, 'secrets.key');
    const known = await readFile(file).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    });
    // A torn one has sealed nothing: sealing waits for the whole file.
    if (known?.length === KEY_BYTES) return new SecretBox(known);
    const key = randomBytes(KEY_BYTES);
    const partial = `${file}.new`;
    await writeFile(partial, key, { mode: 0o600, flush: true });
    await moveOver(partial, file);
    return new SecretBox(key);
  }

  /** base64 of nonce (12 bytes), tag (16 bytes) and ciphertext. */
  seal(secrets: Readonly<Record<string, string>>): string {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.key, nonce);
    const sealed = Buffer.concat([cipher.update(JSON.stringify(secrets), 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64');
  }

  /** @throws Error when the key is not the one it was sealed with */
  open(sealed: string): Record<string, string> {
    const bytes = Buffer.from(sealed, 'base64');
    const decipher = createDecipheriv('aes-256-gcm', this.key, bytes.subarray(0, 12));
    decipher.setAuthTag(bytes.subarray(12, 28));
    const text = Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8');
    return JSON.parse(text) as Record<string, string>;
  }
}
