import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import { readSettings } from '../window';
import type { Command } from './context';

const FIRST_WORDS = `# Node pools: machines that make clusters, as SkyPilot's ssh_node_pools.yaml.
# A host is an alias of your ssh config, an address, or a mapping:
#
# my-pool:
#   hosts:
#     - gpu1
#     - ip: 10.0.0.7
#       user: ubuntu
#       identity_file: ~/.ssh/id_ed25519
`;

/** Edit Node Pools: opens the node pools file, which is made when there is none. */
export const editNodePools: Command = {
  id: 'editNodePools',
  run: async () => {
    const file = readSettings().nodePools;
    await mkdir(path.dirname(file), { recursive: true });
    // It may come to hold passwords.
    await writeFile(file, FIRST_WORDS, { mode: 0o600, flag: 'wx' }).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    });
    await vscode.window.showTextDocument(vscode.Uri.file(file));
  },
};
