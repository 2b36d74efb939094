import type { Channel } from '../transport';
import { QueueError } from './errors';

const KINDS = /^(s3|gs|r2|hf|https?):\/\/(.+)$/i;

/** Whether a `file_mounts` source is one that a node itself can fetch: `s3://`, `gs://`, `r2://`, `hf://`, `https://`. */
export function isRemoteSource(source: string): boolean {
  return KINDS.test(source);
}

// What the script says when all is there; it goes on when it hears that this was heard.
const DONE = 'CQ1 fetched';

/**
 * The script, for POSIX sh, by which a node fetches a source with a tool that it has. A bucket or a folder in it comes into
 * the destination as a folder, anything else as a file. It says DONE and ends with 0, or with words on stderr. It goes on to its
 * end also when whoever asked has gone, and keeps in mind that nobody heard of it: what was `askedBefore` is not fetched again.
 * @throws QueueError `workdir` for an address that names nothing
 */
export function fetchScript(source: string, destination: string, askedBefore: boolean): string {
  const [, scheme = '', rest = ''] = KINDS.exec(source) ?? [];
  const kind = scheme.toLowerCase();
  const work = kind === 'hf' ? hub(source, rest) : kind.startsWith('http') ? WEB : bucket(kind, rest);
  // A function, because a tool that reads stdin would eat the rest of the script.
  return `${COMMON}
to=${quoted(destination)}; from=${quoted(source)}
case $to in /*) ;; '~/'*) to=$HOME/\${to#??} ;; *) to=$HOME/$to ;; esac
unheard=$HOME/.cluster-queue/mounts/$(printf '%s\\n' "$from" "$to" | cksum | tr ' ' -)
work() {
${work}
}
main() {
lock
${askedBefore ? '[ ! -e "$unheard" ] || [ ! -e "$to" ] || return 0' : 'rm -f "$unheard"'}
work || return
mkdir -p "\${unheard%/*}" && true >"$unheard"
return 0
}
${RUN}
`;
}

/**
 * Lets one node fetch a source; `askedBefore` as in `fetchScript`.
 * @throws QueueError `workdir` that names the node and says what is missing or went wrong
 */
export async function fetchOnNode(
  node: string,
  exec: (command: string) => Promise<Channel>,
  source: string,
  destination: string,
  askedBefore = false,
): Promise<void> {
  const script = fetchScript(source, destination, askedBefore);
  const channel = await exec('exec sh -s');
  let said = '';
  channel.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString('utf8')).slice(-2000)));
  let heard = '';
  channel.stdout.on('data', (chunk: Buffer) => {
    heard = (heard + chunk.toString('latin1')).slice(-2 * DONE.length);
    if (heard.includes(DONE)) channel.stdin.end('heard\n');
  });
  channel.stdin.on('error', () => undefined);
  // Left open: at its end the script would know that nobody is there any more.
  channel.stdin.write(script);
  const { code } = await channel.exit;
  channel.stdin.end();
  if (code === 0) return;
  const words = said.trim().split('\n').slice(-3).join('; ');
  throw new QueueError(
    'workdir',
    `file_mounts ${destination}: ${node} could not fetch ${source}: ${words === '' ? `exit code ${code ?? 'unknown'}` : words}`,
  );
}

// Tools of a person are often where only a login shell looks. What is fetched to one home is fetched one after the other, also
// where nobody waits for the first any more; macOS has no flock, but perl.
const COMMON = `PATH=$PATH:$HOME/.local/bin:$HOME/bin:$HOME/.pyenv/shims:$HOME/miniconda3/bin:/opt/conda/bin:$HOME/google-cloud-sdk/bin:/usr/local/bin:/snap/bin:/opt/homebrew/bin
have() { command -v "$1" >/dev/null 2>&1; }
missing() { echo "it has neither $1. Install one there ($2), or fetch it in setup" >&2; return 1; }
lock() {
  mkdir -p "$HOME/.cluster-queue" && exec 9>>"$HOME/.cluster-queue/mounts.lock" || return 0
  if have flock; then flock 9
  elif have perl; then perl -e 'use Fcntl ":flock"; open my $lock, ">>&=", 9 and flock $lock, LOCK_EX'; fi
}`;

// What the tools say waits until the end: who said it into a connection that is gone would be ended by that, half way.
// In braces, which are read as one: a shell that reads its script line by line would take the rest of it for what is heard.
const RUN = `{
exec 4>&2
code=$({ { main </dev/null 2>&1 >/dev/null 3>&- 4>&-; echo $? >&3; } | tail -c 2000 >&4; } 3>&1)
[ "$code" = 0 ] || exit "\${code:-1}"
echo '${DONE}'
IFS= read -r heard && rm -f "$unheard"
exit 0
}`;

const WEB = `[ ! -d "$to" ] || { echo "$to is a folder there; name the file that the download becomes" >&2; return 1; }
have curl || have wget || { missing 'curl nor wget' 'apt install curl'; return 1; }
mkdir -p "$(dirname "$to")" || return 1
if have curl; then curl -fsSL --retry 3 -o "$to.cq-part" "$from"; else wget -nv -O "$to.cq-part" "$from"; fi ||
  { rm -f "$to.cq-part"; return 1; }
mv -f "$to.cq-part" "$to"`;

/** A bucket: by the cloud's own tool, else by rclone. */
function bucket(kind: string, rest: string): string {
  const [, name = '', key = ''] = /^([^/]+)\/*(.*?)\/*$/.exec(rest) ?? [];
  if (name === '') throw new QueueError('workdir', `${kind}://${rest} names no bucket`);
  const at = `from=${quoted(`${kind === 'r2' ? 's3' : kind}://${name}${key === '' ? '' : `/${key}`}`)}; key=${quoted(key)}`;
  const clone = (remote: string): string => `rclone copyto ${quoted(`${remote}:${name}/${key}`)} "$to"`;
  // A tool syncs a folder or copies a file; which of them it is, only a listing tells.
  const copy = (tool: string, sync: string): string =>
    `if [ -z "$key" ] || ${tool} ls "$from/" 2>/dev/null | grep -q .; then mkdir -p "$to" && ${sync} "$from" "$to"
  else mkdir -p "$(dirname "$to")" && ${tool} cp "$from" "$to"; fi`;
  if (kind === 'gs')
    return `${at}
if have gcloud; then ${copy('gcloud storage', 'gcloud storage rsync --recursive')}
elif have gsutil; then ${copy('gsutil', 'gsutil -m rsync -r')}
elif have rclone; then ${clone(':gcs,env_auth')}
else missing 'gcloud, gsutil nor rclone' 'https://cloud.google.com/sdk/docs/install or https://rclone.org/install'; fi`;
  const aws = copy('aws s3', 'aws s3 sync --no-progress');
  if (kind === 's3')
    return `${at}
if have aws; then ${aws}
elif have rclone; then ${clone(':s3,env_auth,provider=AWS')}
else missing 'aws nor rclone' 'pip install awscli or https://rclone.org/install'; fi`;
  // Where SkyPilot keeps the account and the key of Cloudflare.
  return `${at}
have aws || { missing 'aws nor another tool that can read r2' 'pip install awscli'; return 1; }
account=$(cat "$HOME/.cloudflare/accountid" 2>/dev/null)
[ -n "$account" ] || { echo "it has no ~/.cloudflare/accountid: put the account id there, and the key into ~/.cloudflare/r2.credentials as profile r2" >&2; return 1; }
export AWS_SHARED_CREDENTIALS_FILE="$HOME/.cloudflare/r2.credentials" AWS_PROFILE=r2 AWS_DEFAULT_REGION=auto
export AWS_ENDPOINT_URL="https://$account.r2.cloudflarestorage.com"
${aws}`;
}

/** A repository of the Hugging Face hub as its own file system names it: `hf://[datasets/|spaces/]OWNER/NAME[@REVISION][/PATH]`. */
function hub(source: string, rest: string): string {
  const parts = /^(?:(datasets|spaces|models)\/)?([^/]+\/[^/@]+)(?:@([^/]+))?(?:\/(.*?))?\/*$/.exec(rest);
  if (!parts)
    throw new QueueError(
      'workdir',
      `${source} is not of the form hf://datasets/OWNER/NAME or hf://OWNER/NAME`,
    );
  const [, type = 'models', repo = '', revision, inside = ''] = parts;
  const options = [
    ...(type === 'models' ? [] : ['--repo-type', type.slice(0, -1)]),
    ...(revision === undefined ? [] : ['--revision', quoted(revision)]),
    ...(inside === '' ? [] : ['--include', quoted(`${inside}*`)]),
  ].join(' ');
  const get = `$tool download ${quoted(repo)} ${options} --local-dir`;
  const tool = `if have hf; then tool=hf; elif have huggingface-cli; then tool=huggingface-cli
else missing 'hf nor huggingface-cli' 'pip install huggingface_hub'; return 1; fi
mkdir -p "$(dirname "$to")" || return 1`;
  if (inside === '') return `${tool}\n${get} "$to"`;
  return `${tool}
part=$to.cq-part; found=$part/${quoted(inside)}
${get} "$part" || return 1
if [ -d "$found" ]; then mkdir -p "$to" && cp -Rp "$found/." "$to/"
elif [ -e "$found" ]; then cp -p "$found" "$to"
else echo "there is no" ${quoted(inside)} "in" ${quoted(repo)} >&2; false; fi || { rm -rf "$part"; return 1; }
rm -rf "$part"`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
