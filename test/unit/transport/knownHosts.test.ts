import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fingerprint, keyType, KnownHosts } from '../../../src/transport/knownHosts';

describe('known_hosts', () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'cq-known-'));
  const file = path.join(dir, 'known_hosts');
  const makeKey = (name: string, type: string): Buffer => {
    execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', path.join(dir, name)]);
    return Buffer.from(readFileSync(path.join(dir, `${name}.pub`), 'utf8').split(' ')[1] ?? '', 'base64');
  };
  const key = makeKey('a', 'ed25519');
  const other = makeKey('b', 'ed25519');
  const ecdsa = makeKey('c', 'ecdsa');
  const line = (pattern: string, blob = key): string =>
    `${pattern} ${keyType(blob)} ${blob.toString('base64')}\n`;
  const check = async (text: string, host: string, port = 22, offered = key): Promise<string> => {
    writeFileSync(file, text);
    return (await KnownHosts.load([file], host, port, file)).check(offered).verdict;
  };
  after(() => rmSync(dir, { recursive: true }));

  it('prints fingerprints as ssh-keygen does', () => {
    const printed = execFileSync('ssh-keygen', ['-l', '-f', path.join(dir, 'a.pub')], { encoding: 'utf8' });
    assert.equal(printed.split(' ')[1], fingerprint(key));
  });

  it('knows plain, listed, wildcard, negated and ported names', async () => {
    assert.equal(await check(line('gpu1'), 'GPU1'), 'trusted');
    assert.equal(await check(line('x,gpu1'), 'gpu1'), 'trusted');
    assert.equal(await check(line('gpu*'), 'gpu17'), 'trusted');
    assert.equal(await check(line('gpu*,!gpu1'), 'gpu1'), 'unknown');
    assert.equal(await check(line('[gpu1]:2222'), 'gpu1', 2222), 'trusted');
    assert.equal(await check(line('gpu1', other), 'gpu1', 2222), 'unknown');
    assert.equal(await check(`# comment\n\n${line('gpu.')}`, 'gpux'), 'unknown');
  });

  it('knows hashed names, as ssh-keygen -H makes them', async () => {
    writeFileSync(file, line('[gpu1]:2222'));
    execFileSync('ssh-keygen', ['-q', '-H', '-f', file], { stdio: 'ignore' });
    assert.equal(await check(readFileSync(file, 'utf8'), 'gpu1', 2222), 'trusted');
    assert.equal(await check(readFileSync(file, 'utf8'), 'gpu2', 2222), 'unknown');
  });

  it('trusts a host that is known without its port at any, as ssh does', async () => {
    assert.equal(await check(line('gpu1'), 'gpu1', 2222), 'trusted');
    assert.equal(await check(`@revoked ${line('gpu1')}${line('gpu1')}`, 'gpu1', 2222), 'unknown');
    assert.equal(await check(`${line('gpu1')}${line('[gpu1]:2222', other)}`, 'gpu1', 2222), 'changed');
  });

  it('tells a changed key, also one of another type, and a revoked one', async () => {
    assert.equal(await check(line('gpu1', other), 'gpu1'), 'changed');
    assert.equal(await check(line('gpu1', ecdsa), 'gpu1'), 'changed');
    assert.equal(await check(`gpu1 ssh-dss AAAAB3NzaC1kc3MAAACBAP\n`, 'gpu1'), 'unknown');
    assert.equal(await check(`@revoked ${line('*')}${line('gpu1')}`, 'gpu1'), 'revoked');
    assert.equal(await check(`@cert-authority ${line('*')}`, 'gpu1'), 'unknown');
  });

  it('remembers a key, after a last line without an end', async () => {
    writeFileSync(file, line('gpu0').trimEnd());
    await (await KnownHosts.load([file], 'gpu1', 2222, file)).remember(key);
    assert.equal((await KnownHosts.load([file], 'gpu1', 2222, file)).check(key).verdict, 'trusted');
    assert.equal((await KnownHosts.load([file], 'gpu0', 22, file)).check(key).verdict, 'trusted');
  });
});
