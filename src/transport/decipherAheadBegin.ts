import crypto from 'node:crypto';
import { DecipherAhead, type MakeDecipher } from './decipherAhead';

const own = crypto.createDecipheriv;

export const ahead = new DecipherAhead(own as MakeDecipher);

// For those who are loaded after this, until `restore`.
crypto.createDecipheriv = ahead.make as typeof own;

export function restore(): void {
  crypto.createDecipheriv = own;
}
