const OWN_NAME = /\.(?:task|sky)\.ya?ml$/i;
const YAML_NAME = /\.ya?ml$/i;

/** Fields that together with `run` or `setup` make a task. */
const TELLING = new Set([
  'resources',
  'num_nodes',
  'file_mounts',
  'workdir',
  'envs',
  'secrets',
  'service',
  'pool',
]);
const KNOWN = new Set([
  ...TELLING,
  'name',
  'run',
  'setup',
  'config',
  'volumes',
  'inputs',
  'outputs',
  'execution',
]);
/** Top-level keys of other well-known files (compose, workflows, Kubernetes, Ansible, conda, Helm, CI, …). */
const FOREIGN = new Set([
  'apiVersion',
  'kind',
  'metadata',
  'spec',
  'services',
  'version',
  'on',
  'jobs',
  'steps',
  'stages',
  'runs',
  'hosts',
  'tasks',
  'plays',
  'dependencies',
  'channels',
  'image',
  'script',
  'pipeline',
  'stage',
  'build',
  'predict',
  'type',
  'uses',
  'commands',
  'targets',
  'rules',
  'repos',
  'plugins',
  'packages',
  'language',
  'provider',
  'functions',
  'openapi',
  'swagger',
  'site_name',
]);
/** `resources` that only SkyPilot writes so; a task that sets up a cluster may have nothing else. */
const ASKS_FOR_GPUS =
  /^resources:[ \t]*(?:#.*)?\r?\n(?:[ \t]*(?:#.*)?\r?\n)*[ ]+(?:accelerators|infra|any_of):(?=\s)/m;
/** A task says what it is in its first lines; a larger file is read no further. */
const LOOKED_AT = 200_000;

/**
 * Whether a YAML file is meant to be a task: always for `*.task.yaml` and `*.sky.yaml` (or `.yml`), otherwise when its
 * top-level keys leave no doubt. Never throws, and does not parse: it is asked on each keystroke.
 */
export function looksLikeTask(text: string, fileName: string): boolean {
  if (OWN_NAME.test(fileName)) return true;
  if (!YAML_NAME.test(fileName)) return false;
  const documents = text.slice(0, LOOKED_AT).split(/^---(?=\s|$).*$/m);
  const keys = documents.map(topLevelKeys);
  if (keys.some((names) => [...names.keys()].some((name) => FOREIGN.has(name)))) return false;
  return keys.some(isTask) || documents.some((document) => ASKS_FOR_GPUS.test(document));
}

function isTask(keys: ReadonlyMap<string, string>): boolean {
  const commands = ['run', 'setup'].filter((name) => isCommand(keys.get(name)));
  if (commands.length === 0) return false;
  const names = [...keys.keys()];
  const telling = names.filter((name) => TELLING.has(name)).length;
  const unknown = names.filter((name) => !KNOWN.has(name)).length;
  // Mistyped fields must still be found in a task, so a few unknown ones are no reason to look away.
  return (telling > 0 || commands.length === 2) && unknown <= (telling + commands.length) / 2;
}

/** Text, as opposed to a mapping, a list, a number or a truth value. */
function isCommand(value: string | undefined): boolean {
  return value !== undefined && !/^(?:[[{]|$|true$|false$|-?\d+$)/.test(value);
}

/** Keys at the first column with what follows on their line, without a comment. */
function topLevelKeys(document: string): Map<string, string> {
  const keys = new Map<string, string>();
  for (const [, key = '', value = ''] of document.matchAll(
    /^\uFEFF?["']?([A-Za-z_][\w.-]*)["']?[ \t]*:(?=\s|$)(.*)$/gm,
  )) {
    keys.set(key, value.replace(/(?:^|\s)#.*$/, '').trim());
  }
  return keys;
}
