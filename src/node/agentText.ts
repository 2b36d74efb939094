import { createHash } from 'node:crypto';
import perl from './perl';
import sh from './sh';

/** The agent script, and the name it has on nodes: a hash of its text, so that every version is its own file. */
export const AGENT_TEXT: string = sh + perl;
export const AGENT_ID: string = createHash('sha256').update(AGENT_TEXT).digest('hex').slice(0, 16);
