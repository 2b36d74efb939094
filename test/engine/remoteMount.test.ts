import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fetchOnNode, fetchScript } from '../../src/engine/remoteMount';
import type { Channel } from '../../src/transport';

const which = (name: string): string =>
  spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim();
const SHELLS = [['dash'], ['bash'], ['busybox', 'sh']].filter(([name]) => which(name ?? '') !== '');

for (const shell of SHELLS)
  describe(`a file_mounts source, fetched by ${shell.join(' ')} with the tool that a node has`, () => {
    let home = '';
    let bin = '';
    beforeEach(() => {
      home = mkdtempSync(path.join(os.tmpdir(), "cq-mount it's-"));
      bin = path.join(home, 'tools');
      mkdirSync(bin);
      // What any node has; of the tools that fetch only those that a test puts there.
      for (const name of [
        ...shell.slice(0, 1),
        'sh',
        'mkdir',
        'dirname',
        'cat',
        'rm',
        'mv',
        'cp',
        'grep',
        'flock',
        'tail',
        'tr',
        'cksum',
        'touch',
        'sleep',
      ])
        if (which(name) !== '') symlinkSync(which(name), path.join(bin, name));
    });
    afterEach(() => rmSync(home, { recursive: true, force: true }));

    /** A tool that writes down its arguments, one a line, and then does as told; `$to` is its last argument. */
    const tool = (name: string, body: string): void => {
      const text = `#!/bin/sh\n{ echo "${name}"; for to; do echo "  $to"; done; } >>"$HOME/calls"\n${body}\n`;
      writeFileSync(path.join(bin, name), text, { mode: 0o755 });
    };
    const calls = (): string[] =>
      readFileSync(path.join(home, 'calls'), 'utf8')
        .split('\n')
        .reduce<string[]>(
          (all, line) =>
            line.startsWith('  ')
              ? [...all.slice(0, -1), `${all.at(-1) ?? ''} ${line.slice(2)}`]
              : [...all, line],
          [],
        )
        .filter((line) => line !== '');
    /** The connections of those who have asked. */
    const asked: Channel[] = [];
    /** As a node does it, with nothing but these tools on the PATH. */
    const fetch = (source: string, destination: string, askedBefore = false): Promise<void> =>
      fetchOnNode(
        'node-a',
        (): Promise<Channel> => {
          const child = spawn(path.join(bin, shell[0] ?? 'sh'), [...shell.slice(1), '-s'], {
            env: { HOME: home, PATH: bin },
          });
          const exit = new Promise<{ code: number | null }>((resolve) =>
            child.once('close', (code) => resolve({ code })),
          );
          const { stdin, stdout, stderr } = child;
          const channel = { stdin, stdout, stderr, exit, letGo: () => undefined };
          asked.push(channel);
          return Promise.resolve(channel);
        },
        source,
        destination,
        askedBefore,
      );
    const text = (...parts: string[]): string => readFileSync(path.join(home, ...parts), 'utf8');
    /** The script looks where people install tools too: one that this machine has there would be taken. */
    const without = (context: Mocha.Context, ...names: string[]): void => {
      const places = ['/opt/conda/bin', '/usr/local/bin', '/snap/bin', '/opt/homebrew/bin'];
      if (places.some((place) => names.some((name) => existsSync(path.join(place, name))))) context.skip();
    };

    it('gsutil: a bucket and a folder as a folder, an object as a file', async function () {
      without(this, 'gcloud', 'gsutil');
      tool(
        'gsutil',
        'case "$*" in "ls gs://b/set/") echo gs://b/set/a;; "ls "*) echo "no objects" >&2; exit 1;; *rsync*) echo rows >"$to/a";; *cp*) echo one >"$to";; esac',
      );
      await fetch('gs://b', '~/whole');
      await fetch('gs://b/set/', '~/in a/set');
      await fetch("gs://b/o'ne", "deep/er/o'ne");
      assert.deepEqual(calls(), [
        `gsutil -m rsync -r gs://b ${home}/whole`,
        'gsutil ls gs://b/set/',
        `gsutil -m rsync -r gs://b/set ${home}/in a/set`,
        "gsutil ls gs://b/o'ne/",
        `gsutil cp gs://b/o'ne ${home}/deep/er/o'ne`,
      ]);
      assert.deepEqual(
        [text('whole', 'a'), text('in a', 'set', 'a'), text('deep', 'er', "o'ne")],
        ['rows\n', 'rows\n', 'one\n'],
      );
    });

    it('gcloud rather than gsutil, and gsutil rather than rclone', async function () {
      without(this, 'gcloud', 'gsutil', 'rclone');
      for (const name of ['rclone', 'gsutil']) tool(name, 'exit 0');
      await fetch('gs://b', '~/m');
      tool('gcloud', 'exit 0');
      await fetch('gs://b', '~/m');
      assert.deepEqual(calls(), [
        `gsutil -m rsync -r gs://b ${home}/m`,
        `gcloud storage rsync --recursive gs://b ${home}/m`,
      ]);
    });

    it('rclone, by the credentials of the environment, where the cloud’s own tool is not there', async function () {
      without(this, 'gcloud', 'gsutil', 'aws', 'rclone');
      tool('rclone', 'echo it >"$to"');
      await fetch('gs://b/k', '/' + path.relative('/', path.join(home, 'abs')));
      await fetch('s3://b', '~/s3');
      await fetch('s3://b/a folder/x', '~/x');
      assert.deepEqual(calls(), [
        `rclone copyto :gcs,env_auth:b/k ${home}/abs`,
        `rclone copyto :s3,env_auth,provider=AWS:b/ ${home}/s3`,
        `rclone copyto :s3,env_auth,provider=AWS:b/a folder/x ${home}/x`,
      ]);
      assert.equal(text('abs'), 'it\n');
    });

    it('says rclone’s own words when it fails', async function () {
      without(this, 'aws', 'rclone');
      tool('rclone', 'echo "NOTICE: denied" >&2; exit 3');
      await assert.rejects(fetch('s3://b', '~/s3'), /node-a could not fetch s3:\/\/b: NOTICE: denied/);
    });

    it('wget where there is no curl, into a file that is whole or not there', async function () {
      without(this, 'curl', 'wget');
      tool(
        'wget',
        'case $to in */gone) echo half >"$3"; echo "404: Not Found" >&2; exit 8;; esac\necho page >"$3"',
      );
      await fetch('https://host/page?a=1&b=2', '~/web/page');
      await assert.rejects(
        fetch('https://host/gone', '~/web/gone'),
        /could not fetch https:\/\/host\/gone: 404: Not Found/,
      );
      assert.deepEqual(calls(), [
        `wget -nv -O ${home}/web/page.cq-part https://host/page?a=1&b=2`,
        `wget -nv -O ${home}/web/gone.cq-part https://host/gone`,
      ]);
      assert.deepEqual(readdirSync(path.join(home, 'web')), ['page']);
      assert.equal(text('web', 'page'), 'page\n');
      await assert.rejects(fetch('https://host/x', '~/web'), /is a folder there; name the file/);
    });

    it('is fetched to its end when whoever asked is gone, not beside another time, and not once more', async function () {
      without(this, 'aws');
      tool(
        'aws',
        `case $* in *ls*) exit 0;; esac
[ ! -e "$HOME/busy" ] || echo twice >>"$HOME/calls"
touch "$HOME/busy"; echo half >"$to/rows"
until [ -e "$HOME/go" ]; do sleep 0.02; done
echo "download: rows"; echo "a warning" >&2; echo whole >"$to/rows"; rm "$HOME/busy"`,
      );
      const gone = fetch('s3://b', '~/m').catch(() => undefined);
      while (!existsSync(path.join(home, 'busy'))) await new Promise((resolve) => setTimeout(resolve, 20));
      const first = asked.at(-1);
      first?.stdin.destroy();
      first?.stdout.destroy();
      first?.stderr.destroy();
      const second = fetch('s3://b', '~/m', true);
      writeFileSync(path.join(home, 'go'), '');
      await second;
      await gone;
      const once = [`aws s3 sync --no-progress s3://b ${home}/m`];
      assert.deepEqual([calls(), text('m', 'rows')], [once, 'whole\n']);
      // By now its end was heard of.
      await fetch('s3://b', '~/m', true);
      assert.deepEqual(calls(), [...once, ...once]);
    });

    it('names what to install where there is none', async function () {
      without(this, 'gcloud', 'gsutil', 'aws', 'rclone', 'curl', 'wget', 'hf', 'huggingface-cli');
      for (const [source, words] of [
        ['gs://b', /neither gcloud, gsutil nor rclone\. Install one there \(https:\/\/cloud\.google\.com/],
        ['s3://b', /neither aws nor rclone\. Install one there \(pip install awscli/],
        ['r2://b', /neither aws nor another tool that can read r2/],
        ['https://h/x', /neither curl nor wget\. Install one there \(apt install curl\)/],
        ['hf://me/model', /neither hf nor huggingface-cli/],
      ] as const)
        await assert.rejects(fetch(source, '~/m'), words);
    });

    it('asks for Cloudflare’s account before it tries, and then goes there', async function () {
      without(this, 'aws');
      tool('aws', 'echo "$AWS_ENDPOINT_URL $AWS_PROFILE $AWS_SHARED_CREDENTIALS_FILE" >>"$HOME/env"');
      await assert.rejects(fetch('r2://b', '~/m'), /no ~\/\.cloudflare\/accountid/);
      mkdirSync(path.join(home, '.cloudflare'));
      writeFileSync(path.join(home, '.cloudflare', 'accountid'), 'acc\n');
      await fetch('r2://b', '~/m');
      assert.deepEqual(calls(), [`aws s3 sync --no-progress s3://b ${home}/m`]);
      assert.equal(
        text('env'),
        `https://acc.r2.cloudflarestorage.com r2 ${home}/.cloudflare/r2.credentials\n`,
      );
    });
  });

describe('a file_mounts source', () => {
  it('that names nothing is refused before a node is asked', () => {
    assert.throws(
      () => fetchScript('hf://nobody', '~/x', false),
      /not of the form hf:\/\/datasets\/OWNER\/NAME/,
    );
    assert.throws(() => fetchScript('s3:///x', '~/x', false), /names no bucket/);
  });
});
