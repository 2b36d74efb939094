import assert from 'node:assert/strict';
import type { GroupView } from '../../src/engine';
import { variantsOf } from '../../src/task';
import { openQueue, type Queue } from '../../src/control';
import { World, taskOf } from '../support/world';

const SIZE = 5000;

describe('a group of more jobs than a view holds', function () {
  this.timeout(120_000);
  const world = new World();
  const close: Queue[] = [];
  after(async () => {
    for (const queue of close.reverse()) await queue.close();
    await world.close();
  });

  it('is counted right while it runs, when it has ended, after a restart, and by a client', async () => {
    const open = async (): Promise<Queue> => {
      const queue = await openQueue({ home: world.home, version: 'test' });
      close.push(queue);
      return queue;
    };
    const host = await open();
    await host.defineLocal('here', { name: 'V100', count: 1 });
    const client = await open();
    assert.deepEqual([host.role, client.role], ['host', 'client']);
    const task = taskOf('resources: {accelerators: "V100:1"}\nrun: exit 3\n');
    const { id } = await host.submitGroup(task, variantsOf([], SIZE), { cluster: 'here', user: 'me' });
    const last = id + SIZE - 1;
    const counts = (queue: Queue): GroupView | undefined =>
      queue.view('here')?.groups?.find((group) => group.id === id);
    const until = (queue: Queue, met: (group: GroupView | undefined) => boolean): Promise<void> =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!met(counts(queue))) return;
          stop();
          resolve();
        };
        const stop = queue.onDidChange(check);
        check();
      });

    // The first jobs are far from the newest, which are what a view holds.
    await until(client, (group) => (group?.failed ?? 0) >= 3);
    await host.reorder('here', { group: id }, { held: true });
    await until(host, (group) => group?.running === 0);
    const ids = Array.from({ length: 40 }, (_, index) => last - 1000 - index);
    await host.cancel('here', ids);
    const { failed = 0 } = counts(host) ?? {};
    const expected = { id, running: 0, pending: SIZE - failed - 40, succeeded: 0, failed, cancelled: 40 };
    assert.deepEqual(counts(host), expected);
    await until(client, (group) => group?.cancelled === 40);
    assert.deepEqual(counts(client), expected);

    await host.cancel('here', 'all');
    const ended = { ...expected, pending: 0, cancelled: SIZE - failed };
    await until(client, (group) => group?.pending === 0);
    assert.deepEqual([counts(host), counts(client)], [ended, ended]);

    await host.close();
    await until(client, () => client.role === 'host');
    assert.equal(client.jobs('here', 10).length, 10);
    assert.deepEqual(counts(client), ended);
    const late = await open();
    assert.deepEqual(counts(late), ended);
  });
});
