export { installCq, offerCq } from './cq';
export { EditorFacts } from './editorFacts';
export { sshHosts } from './hosts';
export { windowPrompter } from './prompter';
export { LOCAL, WindowQueue, type QueueState } from './queue';
export { readSettings, type Settings } from './settings';
