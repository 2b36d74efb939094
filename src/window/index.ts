export { installCq, offerCq } from './cq';
export { EditorFacts } from './editorFacts';
export { STATUS_ICONS } from './fileStatus';
export { inSshConfig, sshHosts, sshTerminalArguments, watchRemoteSsh } from './hosts';
export { keeperOf, windowPrompter } from './prompter';
export { LOCAL, WindowQueue, type QueueState } from './queue';
export type { SecretKeeper } from './secretKeeper';
export { readSettings, type Settings } from './settings';
