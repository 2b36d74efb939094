export { LocalTransport } from './local';
export { SshTransport, type SshContext } from './ssh';
export { configuredHosts } from './sshOptions';
export * from './transport';
