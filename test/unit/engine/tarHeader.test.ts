import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { padding, tarEnd, tarHeader, type TarMember } from '../../../src/engine/files/tarHeader';

const programs = [['tar'], ['busybox', 'tar'], ['bsdtar']].filter(([name = '']) =>
  ['/bin', '/usr/bin'].some((dir) => existsSync(path.join(dir, name))),
);

describe('a tar stream of ours', () => {
  let dir = '';
  beforeEach(() => (dir = mkdtempSync(path.join(os.tmpdir(), 'cq-tar-'))));
  afterEach(() => rmSync(dir, { recursive: true }));
  const stream = (members: readonly (TarMember & { bytes?: Buffer })[]): Buffer =>
    Buffer.concat([
      ...members.flatMap(({ bytes = Buffer.alloc(0), ...member }) => [
        tarHeader({ ...member, ...(member.kind === 'file' ? { size: bytes.length } : {}) }),
        bytes,
        padding(bytes.length),
      ]),
      tarEnd(),
    ]);

  for (const [program = '', ...words] of programs) {
    it(`is read by ${[program, ...words].join(' ')}`, () => {
      const long = `${'folder/'.repeat(30)}ünï`;
      const bytes = Buffer.from('some bytes\0more');
      const common = { mode: 0o644, mtime: 1_000_000_000 };
      const input = stream([
        { ...common, kind: 'folder', path: 'd', mode: 0o755 },
        { ...common, kind: 'file', path: 'd/-x\ny', bytes, mode: 0o755 },
        { ...common, kind: 'file', path: `d/${long}`, bytes: Buffer.alloc(512, 'b') },
        { ...common, kind: 'hardlink', path: 'd/same', target: `d/${long}` },
        { ...common, kind: 'link', path: 'd/link', target: `${'up/'.repeat(50)}✓` },
      ]);
      execFileSync(program, [...words, '-xf', '-'], { cwd: dir, input });
      const at = (name: string): string => path.join(dir, 'd', name);
      assert.deepEqual(readFileSync(at('-x\ny')), bytes);
      assert.equal(lstatSync(at('-x\ny')).mode & 0o100, 0o100);
      assert.equal(lstatSync(at('-x\ny')).mtimeMs, 1_000_000_000_000);
      assert.equal(readFileSync(at(long), 'utf8'), 'b'.repeat(512));
      assert.equal(lstatSync(at('same')).ino, lstatSync(at(long)).ino);
      assert.equal(readlinkSync(at('link')), `${'up/'.repeat(50)}✓`);
    });
  }

  it('tells sizes of more than 8 GB', () => {
    const header = tarHeader({ kind: 'file', path: 'big', mode: 0o644, mtime: 0, size: 9_000_000_000 });
    // The bytes themselves are not there.
    const listed = execFileSync('sh', ['-c', 'tar -tvf - 2>/dev/null || true'], { input: header });
    assert.match(listed.toString(), / 9000000000 /);
  });
});
