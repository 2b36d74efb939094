import * as vscode from 'vscode';
import type { NodeDefinition } from '../cluster';
import { readSettings } from './settings';

/** Hosts that the user's ssh config names, in its order. */
export async function sshHosts(): Promise<string[]> {
  const { configuredHosts } = await import('../transport/sshConfigFile');
  return configuredHosts(readSettings().sshConfigFile);
}

/** Whether the ssh config names this host, so that user and key come from there. */
export async function inSshConfig(destination: string): Promise<boolean> {
  const [{ knowsHost }, { parseDestination }] = await Promise.all([
    import('../transport/sshConfigFile'),
    import('../transport/sshOptions'),
  ]);
  return knowsHost(parseDestination(destination).host, readSettings().sshConfigFile);
}

/** Tells menus whether the Remote-SSH extension is there, now and when extensions come and go. */
export function watchRemoteSsh(): vscode.Disposable {
  const tell = (): void => {
    const there = vscode.extensions.getExtension('ms-vscode-remote.remote-ssh') !== undefined;
    void vscode.commands.executeCommand('setContext', 'clusterQueue.hasRemoteSsh', there);
  };
  tell();
  return vscode.extensions.onDidChange(tell);
}

/** The arguments with which `ssh` in a terminal reaches a node as the queue does. */
export async function sshTerminalArguments(
  destination: string,
  login: NodeDefinition['login'],
): Promise<string[]> {
  const [{ sshArguments }, { loginOf }] = await Promise.all([import('../transport'), import('../engine')]);
  return sshArguments(destination, {
    configFile: readSettings().sshConfigFile,
    login: login && loginOf(login, destination),
  });
}
