export { LocalTransport } from './local';
export type { Login, SshContext } from './context';
export { SshTransport, sshArguments } from './ssh';
export { configuredHosts, knowsHost } from './sshConfigFile';
export { parseDestination } from './sshOptions';
export * from './transport';
