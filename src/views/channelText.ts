import { StringDecoder } from 'node:string_decoder';

/**
 * Makes a job's output fit for an output channel, which knows neither colours nor carriage returns: escape sequences
 * (ECMA-48 CSI and OSC) are dropped, and of a line that was overwritten with `\r` (a progress bar) the last state is
 * kept. Bytes may come cut anywhere.
 */
export class ChannelText {
  private readonly decoder = new StringDecoder('utf8');
  private held = '';

  push(bytes: Buffer): string {
    return this.clean(this.held + this.decoder.write(bytes), false);
  }

  end(): string {
    return this.clean(this.held + this.decoder.end(), true);
  }

  private clean(text: string, last: boolean): string {
    this.held = '';
    let rest = text;
    if (!last) {
      // A sequence, or a `\r` whose `\n` may follow, that is cut here waits for the rest.
      const cut = CUT.exec(rest);
      if (cut) {
        this.held = cut[0];
        rest = rest.slice(0, cut.index);
      }
    }
    return rest
      .replace(ESCAPES, '')
      .replaceAll('\r\n', '\n')
      .replace(/[^\n\r]*\r/g, '');
  }
}

const ESC = String.fromCharCode(27);
const BEL = String.fromCharCode(7);
const ESCAPES = new RegExp(
  `${ESC}(?:\\[[0-?]*[ -/]*[@-~]|\\][^${BEL}${ESC}]*(?:${BEL}|${ESC}\\\\)|[@-Z\\\\-_])`,
  'g',
);
const CUT = new RegExp(`(?:${ESC}(?:\\[[0-9;?]*|\\][^${BEL}]{0,200})?|\\r)$`);
