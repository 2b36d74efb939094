/** What one member of a tar stream says of itself. */
export interface TarMember {
  /** `file` is followed by its bytes, padded to 512. */
  readonly kind: 'file' | 'folder' | 'link' | 'hardlink';
  readonly path: string;
  readonly mode: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  readonly size?: number;
  /** For `link` and `hardlink`. */
  readonly target?: string;
}

export const BLOCK = 512;
const FLAGS = { file: '0', hardlink: '1', link: '2', folder: '5' } as const;
const NAME_LENGTH = 100;
// What eleven octal digits hold.
const MOST_OCTAL = 8 ** 11 - 1;

/**
 * The header of a member in GNU's form, which GNU tar, busybox and libarchive read alike: long names as members of their own
 * (busybox passes over the pax headers that tar-stream writes), names as raw UTF-8, sizes above 8 GB in base 256.
 */
export function tarHeader(member: TarMember): Buffer {
  const name = Buffer.from(member.kind === 'folder' ? `${member.path}/` : member.path);
  const target = Buffer.from(member.target ?? '');
  const blocks: Buffer[] = [];
  if (target.length > NAME_LENGTH) blocks.push(longName('K', target));
  if (name.length > NAME_LENGTH) blocks.push(longName('L', name));
  blocks.push(header(FLAGS[member.kind], name, target, member.mode, member.size ?? 0, member.mtime));
  return blocks.length === 1 && blocks[0] ? blocks[0] : Buffer.concat(blocks);
}

/** Zeros that fill a member's bytes up to a whole block. */
export function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** The end of a tar stream. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK);
}

function longName(flag: 'L' | 'K', text: Buffer): Buffer {
  const size = text.length + 1;
  const head = header(flag, Buffer.from('././@LongLink'), Buffer.alloc(0), 0o644, size, 0);
  return Buffer.concat([head, text, Buffer.alloc(1), padding(size)]);
}

function header(
  flag: string,
  name: Buffer,
  target: Buffer,
  mode: number,
  size: number,
  mtime: number,
): Buffer {
  const block = Buffer.alloc(BLOCK);
  name.copy(block, 0, 0, NAME_LENGTH);
  octal(block, 100, 8, mode);
  octal(block, 108, 8, 0);
  octal(block, 116, 8, 0);
  octal(block, 124, 12, size);
  octal(block, 136, 12, Math.min(Math.max(0, mtime), MOST_OCTAL));
  block.write('        ', 148, 'latin1');
  block.write(flag, 156, 'latin1');
  target.copy(block, 157, 0, NAME_LENGTH);
  block.write('ustar  \0', 257, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function octal(block: Buffer, at: number, length: number, value: number): void {
  if (value <= MOST_OCTAL) {
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
    return;
  }
  block[at] = 0x80;
  block.writeBigUInt64BE(BigInt(value), at + length - 8);
}
