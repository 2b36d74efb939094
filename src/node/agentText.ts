import { createHash } from 'node:crypto';
import text from './agent.sh';

/** The agent script, and the name it has on nodes: a hash of its text, so that every version is its own file. */
export const AGENT_TEXT: string = text;
export const AGENT_ID: string = createHash('sha256').update(text).digest('hex').slice(0, 16);
