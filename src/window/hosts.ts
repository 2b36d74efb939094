import { configuredHosts } from '../transport';
import { readSettings } from './settings';

/** Hosts that the user's ssh config names, in its order. */
export function sshHosts(): Promise<string[]> {
  return configuredHosts(readSettings().sshConfigFile);
}
