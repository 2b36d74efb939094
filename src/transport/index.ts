export { LocalTransport } from './local';
export { SshTransport, type SshContext } from './ssh';
export { configuredHosts, parseDestination } from './sshOptions';
export * from './transport';
