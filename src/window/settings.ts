import * as vscode from 'vscode';
import { expandHome } from '../control';

/** The settings `clusterQueue.*` as this window has them now. */
export interface Settings {
  /** As `ssh -F`; undefined for the user's own config. */
  readonly sshConfigFile: string | undefined;
  /** Declared GPUs of the cluster `local`, e.g. `V100:4`. */
  readonly virtualGpus: { name: string; count: number } | undefined;
  readonly graceSeconds: number;
}

/** Reads the settings; an environment variable of the same meaning stands in where a setting is empty. */
export function readSettings(): Settings {
  const config = vscode.workspace.getConfiguration('clusterQueue');
  const file = config.get<string>('ssh.configFile', '') || process.env.CLUSTER_QUEUE_SSH_CONFIG || '';
  return {
    sshConfigFile: file === '' ? undefined : expandHome(file),
    virtualGpus: parseVirtual(config.get<string>('local.virtualGpus', '')),
    graceSeconds: config.get<number>('cancel.graceSeconds', 10),
  };
}

function parseVirtual(text: string): Settings['virtualGpus'] {
  const match = /^\s*([A-Za-z0-9][\w.-]*)\s*:\s*([1-9]\d{0,2})\s*$/.exec(text);
  return match?.[1] === undefined ? undefined : { name: match[1], count: Number(match[2]) };
}
