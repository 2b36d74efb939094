import assert from 'node:assert/strict';
import { DrawnRows, type Row } from '../../../src/views/drawn';

type E = { name: string };
const row = (name: string, state = '', looks = ''): Row<E> => ({
  key: name,
  element: { name },
  state,
  looks,
});
const names = (elements: readonly E[]): string[] => elements.map(({ name }) => name);

describe('rows that were drawn', () => {
  it('are drawn again when they look different: at once for another state, soon for all else', () => {
    const drawn = new DrawnRows<E>();
    drawn.draw('', [row('a', 'PENDING', '3rd'), row('b', 'RUNNING', 'x'), row('c')]);
    const changes = drawn.changes('', [row('a', 'PENDING', '2nd'), row('b', 'FAILED', 'y'), row('c')]);
    assert.deepEqual([names(changes.now), names(changes.soon), changes.same], [['b'], ['a'], true]);
    const again = drawn.changes('', [row('a', 'PENDING', '2nd'), row('b', 'FAILED', 'y'), row('c')]);
    assert.deepEqual([again.now, again.soon, again.same], [[], [], true]);
  });

  it('are not the same when one came, went or has another place; known ones are still told of', () => {
    const drawn = new DrawnRows<E>();
    drawn.draw('', [row('a', '1'), row('b')]);
    const changes = drawn.changes('', [row('c'), row('a', '2'), row('b')]);
    assert.deepEqual([names(changes.now), changes.same], [['a'], false]);
    assert.equal(drawn.changes('', [row('b'), row('a', '2')]).same, false);
    assert.equal(drawn.changes('', [row('a', '2')]).same, false);
    assert.equal(drawn.changes('', [row('a', '2'), row('b')]).same, true);
  });

  it('keep the object that VS Code knows them by', () => {
    const drawn = new DrawnRows<E>();
    const [first] = drawn.draw('', [row('a', '1')]);
    assert.equal(drawn.draw('', [row('a', '2')])[0], first);
    assert.equal(drawn.changes('', [row('a', '3')]).now[0], first);
    drawn.draw('', []);
    assert.notEqual(drawn.draw('', [row('a', '1')])[0], first);
  });

  it('go with what is above them', () => {
    const drawn = new DrawnRows<E>();
    drawn.draw('', [row('cluster')]);
    drawn.draw('cluster', [row('group')]);
    drawn.draw('group', [row('job')]);
    assert.deepEqual(names(drawn.parents()), ['cluster', 'group']);
    drawn.draw('', [row('other')]);
    assert.deepEqual(drawn.parents(), []);
    assert.equal(drawn.changes('group', []).same, true);
  });
});
