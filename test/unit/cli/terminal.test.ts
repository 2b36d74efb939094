import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { Terminal } from '../../../src/cli/terminal';

describe('the two outputs of cq', () => {
  const shown = (outTty: boolean, errTty: boolean): string => {
    const screen = new PassThrough();
    const stream = (isTTY: boolean): NodeJS.WriteStream =>
      Object.assign(Object.create(screen) as NodeJS.WriteStream, { isTTY });
    const terminal = new Terminal(stream(outTty), stream(errTty));
    terminal.write(Buffer.from('a line\nno newline'));
    terminal.note('job 1 SUCCEEDED');
    terminal.write(Buffer.from('whole\n'));
    terminal.note('job 2 SUCCEEDED');
    return String(screen.read());
  };

  it('are one screen: what is said beside a log begins a line of its own', () => {
    assert.equal(shown(true, true), 'a line\nno newline\njob 1 SUCCEEDED\nwhole\njob 2 SUCCEEDED\n');
  });

  it('are two files where they are told apart: a log has every byte as it was, and no other', () => {
    const as = 'a line\nno newlinejob 1 SUCCEEDED\nwhole\njob 2 SUCCEEDED\n';
    assert.deepEqual([shown(false, true), shown(true, false)], [as, as]);
  });
});
