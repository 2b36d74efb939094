// The one place that loads ssh2: it keeps the `createDecipheriv` that it finds then.
import { ahead, restore } from './decipherAheadBegin';
import { BaseAgent, Client, createAgent, utils } from 'ssh2';
import { bindingAvailable } from 'ssh2/lib/protocol/crypto.js';

restore();

/** Has ssh2's next decipher ready; for after each of its reads, see `DecipherAhead`. */
export const prepareDecipher = ahead.prepare;

export { BaseAgent, bindingAvailable, Client, createAgent, utils };
