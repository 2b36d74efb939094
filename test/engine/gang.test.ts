import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { haveSshd } from '../support/sshd';
import { World } from '../support/world';

const GPUS = { name: 'Tesla V100-SXM2-16GB', count: 1, memoryMiB: 16160 };
// A large workdir on a slow disk.
const CP = 'until [ -e "$HOME/copy" ]; do sleep 0.05; done; exec /bin/cp "$@"';

for (const relay of ['yes', 'no']) {
  describe(`a gang of which one rank still copies its workdir; CLUSTER_QUEUE_RELAY=${relay}`, function () {
    if (!haveSshd) return;
    this.timeout(60_000);
    const world = new World();
    after(() => world.close());

    it('does not begin before that has its device too', async () => {
      const env = { CLUSTER_QUEUE_RELAY: relay };
      const a = await world.nodes.add('a', { gpus: GPUS, env });
      const b = await world.nodes.add('b', { gpus: GPUS, env, tools: { cp: CP } });
      const workdir = path.join(world.home, 'wd');
      mkdirSync(workdir);
      writeFileSync(path.join(workdir, 'f'), 'x');
      await world.open();
      await world.cluster('c', ['a', 'b']);
      const ran = path.join(world.home, 'ran');
      const copied = path.join(b.home, 'copy');
      const { id, uuid } = await world.submit(
        'c',
        `workdir: ${workdir}\nnum_nodes: 2\nresources: {accelerators: V100}\nrun: '[ -e ${copied} ] && echo in time >>${ran} || echo too early >>${ran}'\n`,
      );
      const folder = path.join(a.home, '.cluster-queue');
      const has = (file: string): boolean =>
        readdirSync(folder).some((node) => existsSync(path.join(folder, node, 'jobs', `${uuid}-0`, file)));
      while (!has('go')) await new Promise((resolve) => setTimeout(resolve, 20));
      // As every 30 s, and on a new connection.
      await world.engine.refresh('c');
      await new Promise((resolve) => setTimeout(resolve, 300));
      writeFileSync(copied, '');
      assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
      assert.equal(readFileSync(ran, 'utf8'), 'in time\nin time\n');
    });
  });
}
