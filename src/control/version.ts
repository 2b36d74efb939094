import { version } from '../../package.json';

/** The version of this build; processes of different ones do not share a queue. */
export const VERSION: string = version;
