import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ChannelText } from '../../../src/views/channelText';

function shown(...chunks: string[]): string {
  const text = new ChannelText();
  return chunks.map((chunk) => text.push(Buffer.from(chunk))).join('') + text.end();
}

describe('a job’s output in an output channel', () => {
  it('loses its colours and keeps the last state of a progress bar', () => {
    assert.equal(shown('\u001b[1;31mred\u001b[0m \u001b]0;title\u0007x\n'), 'red x\n');
    assert.equal(shown(' 10%\r 50%\r100%\n'), '100%\n');
    assert.equal(shown('a\r\nb\r\n'), 'a\nb\n');
    assert.equal(shown('a\r', '\nb'), 'a\nb');
    assert.equal(shown('x\u001b[3', '2mgreen'), 'xgreen');
  });

  it('is whole text, wherever its bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[aü💡\n]{0,30}$/u),
        fc.array(fc.nat(40), { maxLength: 5 }),
        (text, cuts) => {
          const bytes = Buffer.from(text);
          const channel = new ChannelText();
          let at = 0;
          let out = '';
          for (const cut of [...cuts].sort((a, b) => a - b)) {
            out += channel.push(bytes.subarray(at, cut));
            at = Math.max(at, Math.min(cut, bytes.length));
          }
          out += channel.push(bytes.subarray(at)) + channel.end();
          assert.equal(out, text);
        },
      ),
    );
  });
});
