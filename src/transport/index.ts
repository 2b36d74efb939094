export { LocalTransport } from './local';
export type { SshContext } from './context';
export { SshTransport } from './ssh';
export { configuredHosts } from './sshConfigFile';
export { parseDestination } from './sshOptions';
export * from './transport';
