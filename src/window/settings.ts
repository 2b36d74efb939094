import * as vscode from 'vscode';
import { parseVirtualGpus } from '../cluster/virtualGpus';
import { expandHome } from '../control/home';
import { poolsFile } from '../control/poolsFile';

/** The settings `clusterQueue.*` as this window has them now. */
export interface Settings {
  /** As `ssh -F`; undefined for the user's own config. */
  readonly sshConfigFile: string | undefined;
  /** Absolute path of the node pools file, which need not be there. */
  readonly nodePools: string;
  /** Declared GPUs of the cluster `local`, e.g. `V100:4`; undefined for none. */
  readonly virtualGpus: { name: string; count: number } | undefined;
  /** Whether somebody set `virtualGpus`, if only to nothing: a window that leaves it alone changes nothing. */
  readonly virtualGpusSet: boolean;
  readonly graceSeconds: number;
  /** Leaves `.git` out of workdirs. */
  readonly leaveOutGit: boolean;
  /** When finished jobs are archived. */
  readonly logs: { readonly maxBytes: number };
  readonly history: { readonly maxAgeDays: number; readonly maxJobs: number; readonly daysOnNodes: number };
}

/** Reads the settings; an environment variable of the same meaning stands in where a setting is empty. */
export function readSettings(): Settings {
  const config = vscode.workspace.getConfiguration('clusterQueue');
  const file = config.get<string>('ssh.configFile', '') || process.env.CLUSTER_QUEUE_SSH_CONFIG || '';
  return {
    sshConfigFile: file === '' ? undefined : expandHome(file),
    nodePools: poolsFile(config.get<string>('nodePools', '')),
    virtualGpus: parseVirtualGpus(config.get<string>('local.virtualGpus', '')),
    virtualGpusSet: isSet(config, 'local.virtualGpus'),
    graceSeconds: config.get<number>('cancel.graceSeconds', 10),
    leaveOutGit: config.get<boolean>('workdir.leaveOutGit', false),
    logs: { maxBytes: Math.round(config.get<number>('log.maxGB', 10) * 1e9) },
    history: {
      maxAgeDays: config.get<number>('history.maxAgeDays', 90),
      maxJobs: config.get<number>('history.maxJobs', 10_000),
      daysOnNodes: config.get<number>('history.daysOnNodes', 14),
    },
  };
}

function isSet(config: vscode.WorkspaceConfiguration, name: string): boolean {
  const { globalValue, workspaceValue, workspaceFolderValue } = config.inspect(name) ?? {};
  return [globalValue, workspaceValue, workspaceFolderValue].some((value) => value !== undefined);
}
