import path from 'node:path';
import { list } from '../../queue/words';

// So many names of a kind are told.
const MOST_NAMES = 3;

/** What of a folder does not come to a node as it is here. */
export class Strays {
  private readonly special: string[] = [];
  private readonly links: string[] = [];

  /** A socket, a FIFO or a device, which is left out: nobody is at its other end on a node. */
  meetSpecial(inside: string): void {
    this.special.push(inside);
  }

  /** A symbolic link, which is sent as it is; one that leads out of the folder may lead nowhere on a node. */
  meetLink(inside: string, target: string): void {
    const led = path.posix.normalize(path.posix.join(path.posix.dirname(inside), target));
    const out = path.isAbsolute(target) || led === '..' || led.startsWith('../');
    if (out) this.links.push(`${inside} -> ${target}`);
  }

  /** In a line for a person; undefined when there is nothing of the kind. */
  get words(): string | undefined {
    const { special, links } = this;
    const parts = [
      ...(special.length === 0
        ? []
        : [`left out, because only files, folders and links are sent: ${list(special, MOST_NAMES)}`]),
      ...(links.length === 0
        ? []
        : [
            `links that lead out of it, which a node can follow only where it has the same: ${list(links, MOST_NAMES)}`,
          ]),
    ];
    return parts.length === 0 ? undefined : parts.join('; ');
  }
}
