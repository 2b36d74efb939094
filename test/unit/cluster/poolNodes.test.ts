import assert from 'node:assert/strict';
import { nodesOfPool, parsePools, passwordOf } from '../../../src/cluster';
import { inventoryOf } from '../../../src/engine/inventory';
import { parseFacts } from '../../../src/node';

const TEXT = `lab:
  user: me
  password: for-all
  hosts:
    - gateway
    - {ip: box, port: 2201, password: own}
    - {ip: box, port: 2202, user: you, gpus: V100:2, virtual: true}
    - {ip: 'fe80::1', port: 22, identity_file: ~/.ssh/k}
`;

describe('the hosts of a node pool as nodes', () => {
  const nodes = parsePools(TEXT).pools.flatMap((pool) => nodesOfPool(pool, '/home/me/pools.yaml'));

  it('are called by their address, or by more of it where two would have one name', () => {
    assert.deepEqual(
      nodes.map(({ name, destination }) => [name, destination]),
      [
        ['gateway', 'gateway'],
        ['box:2201', 'box:2201'],
        ['box:2202', 'box:2202'],
        ['fe80::1', '[fe80::1]:22'],
      ],
    );
  });

  it('carry their login, but no password: that is looked up by pool and destination', () => {
    assert.ok(!JSON.stringify(nodes).includes('for-all') && !JSON.stringify(nodes).includes('own"'));
    assert.deepEqual(nodes[2]?.login, { user: 'you', pool: { file: '/home/me/pools.yaml', name: 'lab' } });
    assert.equal(passwordOf(TEXT, 'lab', 'gateway'), 'for-all');
    assert.equal(passwordOf(TEXT, 'lab', 'box:2201'), 'own');
    assert.equal(passwordOf(TEXT, 'lab', 'box'), undefined);
    assert.equal(passwordOf(TEXT, 'other', 'gateway'), undefined);
  });
});

describe('what jobs may use of a node', () => {
  const facts = parseFacts([
    'host h',
    'cpus 64',
    'memory 1000',
    ...[0, 1, 2, 3].map((index) => `gpu ${index}, GPU-${index}, 32768, 0, Tesla V100-SXM2-32GB`),
  ]);
  const devices = (limits: object): [number, string][] =>
    inventoryOf({ name: 'n', limits }, facts, 'h').devices.map(({ index, name }) => [index, name]);

  it('is all that is found, unless its owner says less', () => {
    assert.equal(inventoryOf({ name: 'n' }, facts, 'h').devices.length, 4);
    const { cpus, memoryMiB } = inventoryOf({ name: 'n', limits: { cpus: 8 } }, facts, 'h');
    assert.deepEqual([cpus, memoryMiB], [8, 1000]);
  });

  it('is in the order of preference, without devices that are not there', () => {
    assert.deepEqual(devices({ devices: [3, 9, 1] }), [
      [3, 'V100-32GB'],
      [1, 'V100-32GB'],
    ]);
  });

  it('has the declared name, unless the found one is a kind of it', () => {
    assert.deepEqual(devices({ gpus: { name: 'V100', count: 1 } }), [[0, 'V100-32GB']]);
    assert.deepEqual(devices({ gpus: { name: 'Volta', count: 2 }, devices: [2, 1, 0] }), [
      [2, 'Volta'],
      [1, 'Volta'],
    ]);
  });
});
