export { EditorFacts } from './editorFacts';
export { nodesOf, sshHosts } from './hosts';
export { windowPrompter } from './prompter';
export { LOCAL, WindowQueue, type QueueState } from './queue';
export { readSettings, stateFolder, type Settings } from './settings';
