import type { ContentReader } from './contents';
import type { Entry, Manifest } from './manifest';
import type { SendPlan } from './plan';
import { padding, tarEnd, tarHeader } from './tarHeader';

/** How much of a sync has gone out. */
export interface SendProgress {
  readonly files: number;
  readonly bytes: number;
}

const CHUNK_BYTES = 256 << 10;

/**
 * A snapshot as a tar stream for a node's `unpack`: all below the folder `into`, and last of all an empty file `into.end`,
 * without which a stream that was cut between two members would look whole.
 */
export async function* treeStream(
  manifest: Manifest,
  plan: SendPlan,
  into: string,
  contents: ContentReader,
  progress: (sent: SendProgress) => void,
): AsyncGenerator<Buffer> {
  let chunks: Buffer[] = [];
  let size = 0;
  let files = 0;
  let bytes = 0;
  const full = (piece: Buffer): boolean => {
    if (piece.length > 0) chunks.push(piece);
    size += piece.length;
    return size >= CHUNK_BYTES;
  };
  const taken = (): Buffer => {
    const chunk = Buffer.concat(chunks);
    chunks = [];
    size = 0;
    return chunk;
  };
  for (const entry of manifest) {
    if (plan.there.has(entry.path)) continue;
    const source = plan.links.get(entry.path);
    if (full(headerOf(entry, `${into}/${entry.path}`, source))) yield taken();
    if (entry.kind !== 'file' || source !== undefined) continue;
    for await (const piece of contents.read(entry.hash, entry.size)) {
      bytes += piece.length;
      if (full(piece)) {
        yield taken();
        progress({ files, bytes });
      }
    }
    full(padding(entry.size));
    files++;
  }
  // Of now: what is old there is swept, also while this comes.
  const mtime = Math.floor(Date.now() / 1000);
  full(tarHeader({ kind: 'file', path: `${into}.end`, mode: 0o600, mtime }));
  full(tarEnd());
  yield taken();
  progress({ files, bytes });
}

function headerOf(entry: Entry, path: string, source: string | undefined): Buffer {
  const { mtime } = entry;
  switch (entry.kind) {
    case 'folder':
      // Its owner may look into it and remove what is in it, whatever it was at home.
      return tarHeader({ kind: 'folder', path, mode: entry.mode | 0o700, mtime });
    case 'link':
      return tarHeader({ kind: 'link', path, mode: 0o777, mtime, target: entry.target });
    case 'file':
      return source === undefined
        ? tarHeader({ kind: 'file', path, mode: entry.mode, mtime, size: entry.size })
        : tarHeader({ kind: 'hardlink', path, mode: entry.mode, mtime, target: source });
  }
}
