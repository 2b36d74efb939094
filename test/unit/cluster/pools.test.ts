import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { parsePools, type PoolHost } from '../../../src/cluster/pools';
import { parseVirtualGpus } from '../../../src/cluster/virtualGpus';

/** A host without its place. */
function plain({ start, end, ...host }: PoolHost): Omit<PoolHost, 'start' | 'end'> {
  assert.ok(start < end);
  return host;
}

/** Each problem as `severity code "its text": message`. */
function said(text: string): string[] {
  return parsePools(text).problems.map(
    ({ severity, code, start, end, message }) =>
      `${severity} ${code} "${text.slice(start, end)}": ${message}`,
  );
}

describe('a node pools file', () => {
  it('reads the example of SkyPilot’s documentation', () => {
    const text = `my-cluster:            # Give the node pool a meaningful name
  hosts:
    - 1.2.3.4
    - 5.6.7.8

my-box:
  user: root
  identity_file: ~/.ssh/id_rsa
  password:
  hosts:
    - hostname_in_ssh_config
    - ip: 192.168.1.100
      user: ubuntu
      identity_file: ~/.ssh/other
      password: secret
`;
    const { pools, problems } = parsePools(text);
    assert.deepEqual(problems, []);
    assert.deepEqual(
      pools.map(({ name, hosts }) => [name, hosts.map(plain)]),
      [
        [
          'my-cluster',
          [
            { virtual: false, ip: '1.2.3.4' },
            { virtual: false, ip: '5.6.7.8' },
          ],
        ],
        [
          'my-box',
          [
            { virtual: false, user: 'root', identityFile: '~/.ssh/id_rsa', ip: 'hostname_in_ssh_config' },
            {
              virtual: false,
              user: 'ubuntu',
              identityFile: '~/.ssh/other',
              password: 'secret',
              ip: '192.168.1.100',
            },
          ],
        ],
      ],
    );
    assert.equal(text.slice(pools[0]?.start, pools[0]?.end), 'my-cluster');
    const [, last] = pools[1]?.hosts ?? [];
    assert.equal(text.slice(last?.start, last?.end), '192.168.1.100');
  });

  it('reads our additions, as defaults and per host', () => {
    const text = `lab:
  port: 2222
  gpus: V100:8
  hosts:
    - gpu1
    - {ip: gpu2, port: 22, cpus: 64, memory: 256, devices: [0, 1, 3]}
    - {ip: demo, gpus: "A100-80GB:2", virtual: true, memory: 512MB}
`;
    const { pools, problems } = parsePools(text);
    assert.deepEqual(problems, []);
    const V100 = { name: 'V100', count: 8 };
    assert.deepEqual(pools[0]?.hosts.map(plain), [
      { virtual: false, port: 2222, gpus: V100, ip: 'gpu1' },
      {
        virtual: false,
        port: 22,
        gpus: V100,
        cpus: 64,
        memoryMiB: 262_144,
        devices: [0, 1, 3],
        ip: 'gpu2',
      },
      { virtual: true, port: 2222, gpus: { name: 'A100-80GB', count: 2 }, memoryMiB: 512, ip: 'demo' },
    ]);
  });

  it('follows anchors and merges', () => {
    const { pools, problems } = parsePools(
      'a: &a\n  user: me\n  hosts: [x]\nb:\n  <<: *a\n  hosts:\n    - y\nc:\n  hosts: [{ip: z, user: &u you}, {ip: w, user: *u}]\n',
    );
    assert.deepEqual(problems, []);
    assert.deepEqual(
      pools.map(({ hosts }) => hosts.map(({ ip, user }) => `${user ?? ''}@${ip}`)),
      [['me@x'], ['me@y'], ['you@z', 'you@w']],
    );
  });

  it('refuses duplicate keys, at the second', () => {
    assert.deepEqual(said('a:\n  hosts: [x]\n  user: b\n  user: c\na:\n  hosts: [y]\n'), [
      'error duplicate-key "a": a is given twice. Remove one of the two.',
      'error duplicate-key "user": user is given twice. Remove one of the two.',
    ]);
    assert.equal(parsePools('a:\n  hosts: [x]\na:\n  hosts: [y]\n').pools[0]?.hosts[0]?.ip, 'x');
  });

  it('blames a mistake on the pool that has it, and one that YAML cannot read on those below too', () => {
    const blamed = (text: string): string[] =>
      parsePools(text).pools.map(({ name, flaw }) => `${name}: ${flaw ? flaw.code : 'good'}`);
    const good = 'a:\n  hosts: [x]\n';
    const last = 'z:\n  hosts: [y]\n';
    assert.deepEqual(blamed(`${good}b: x\n${last}`), ['a: good', 'b: not-a-pool', 'z: good']);
    assert.deepEqual(blamed(`${good}b:\n  hosts: [{ip: x, port: 0}]\n${last}`), [
      'a: good',
      'b: bad-port',
      'z: good',
    ]);
    assert.deepEqual(blamed(`${good}b:\n  hosts: [{user: u}]\n${last}`), ['a: good', 'b: no-ip', 'z: good']);
    assert.deepEqual(blamed(`${good}${last}a:\n  hosts: [y]\n`), ['a: duplicate-key', 'z: good']);
    for (const broken of ['  hosts: [x\n', '  user: "u\n  hosts: [x]\n', '  hosts:\n    - x\n   user: y\n']) {
      const [first, ...others] = blamed(`${good}b:\n${broken}${last}`);
      assert.equal(first, 'a: good');
      assert.ok(others.length > 0 && others.every((one) => one.endsWith(': bad-yaml')), others.join());
    }
    assert.deepEqual(blamed(`b:\n  hosts: [x\n${last}`).slice(0, 1), ['b: bad-yaml']);
  });

  it('warns of unknown keys with the one that was meant', () => {
    const text = 'a:\n  identity-file: k\n  hosts:\n    - {ip: x, usr: me}\n    - {ip: y, jumphost: z}\n';
    assert.deepEqual(said(text), [
      'warning unknown-field "identity-file": A pool has no field identity-file. Did you mean identity_file?',
      'warning unknown-field "usr": A host has no field usr. Did you mean user?',
      'warning unknown-field "jumphost": A host has no field jumphost. It has ip, user, identity_file, password, port, gpus, cpus, memory, virtual, devices.',
    ]);
    assert.deepEqual(parsePools(text).problems[0]?.fixes, [
      { title: 'Change to identity_file', start: 5, end: 18, text: 'identity_file' },
    ]);
  });

  it('says what is missing, and keeps the rest', () => {
    assert.match(said('')[0] ?? '', /warning no-pools "": This file lists no node pool/);
    assert.match(said('- a\n- b\n')[0] ?? '', /error not-pools/);
    assert.match(said('a: x\n')[0] ?? '', /error not-a-pool "a": The pool a has no hosts/);
    assert.match(said('a:\n  hosts: []\n')[0] ?? '', /error no-hosts "hosts": The pool a has no hosts/);
    assert.match(said('a:\n  hosts:\n    - {user: x}\n    - y\n')[0] ?? '', /error no-ip "\{user: x\}"/);
    assert.match(
      said('a:\n  hosts: [x, x]\n')[0] ?? '',
      /warning duplicate-host "x": x is in the pool a twice/,
    );
    assert.match(said('a:\n  hosts: [\n')[0] ?? '', /error bad-yaml/);
    const { pools } = parsePools('a: x\nb:\n  hosts:\n    - {user: x}\n    - y\n');
    assert.deepEqual(
      pools.map(({ name, hosts }) => [name, hosts.length]),
      [
        ['a', 0],
        ['b', 1],
      ],
    );
  });

  it('says of each value what it should be', () => {
    const host = (fields: string): string => said(`a:\n  hosts: [{ip: x, ${fields}}]\n`)[0] ?? '';
    assert.match(host('port: ssh'), /error bad-port "ssh": `ssh` is not a port/);
    assert.match(host('port: 70000'), /error bad-port "70000"/);
    assert.match(host('gpus: 8'), /error \S+ "8": `8` does not say which GPUs/);
    assert.match(host('gpus: "V100:0.5"'), /a name and how many/);
    assert.match(host('cpus: many'), /error bad-cpus "many"/);
    assert.match(host('memory: 2x'), /error bad-memory "2x"/);
    assert.match(host('virtual: maybe'), /virtual is true or false, not `maybe`/);
    assert.match(host('devices: 0'), /error wrong-type "0": devices is a list/);
    assert.match(host('devices: [0, a]'), /error bad-device "a"/);
    assert.match(host('devices: [1, 1]'), /warning duplicate-item "1": Device 1/);
    assert.match(host('user: [a]'), /error wrong-type "\[a\]": user is one value/);
  });

  it('never throws, and every place lies in the text', () => {
    const piece = fc.constantFrom(
      'a:',
      'hosts:',
      ' ',
      '  ',
      '\n',
      '- ',
      'x',
      '{',
      '}',
      '[',
      ']',
      'ip: ',
      'port: ',
      '&a ',
      '*a',
      '<<: ',
      '"',
      ',',
      ': ',
      '---\n',
      '\t',
      '|',
      '!!set ',
      '? ',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join('');
        for (const { start, end } of parsePools(text).problems)
          assert.ok(start >= 0 && start <= end && end <= text.length, JSON.stringify({ text, start, end }));
      }),
      { numRuns: 3000, verbose: true },
    );
  });
});

describe('declared GPUs', () => {
  it('have one grammar, also where the settings editor checks it', () => {
    const { contributes } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      contributes: { configuration: { properties: Record<string, { pattern?: string }> } };
    };
    const pattern = new RegExp(
      contributes.configuration.properties['clusterQueue.local.virtualGpus']?.pattern ?? '',
    );
    for (const text of [
      'V100:4',
      ' H100-80GB : 8 ',
      'a.b_c:999',
      'V100',
      ':4',
      '4xV100',
      'V100:0',
      'V100:1000',
      'V 100:4',
    ])
      assert.equal(parseVirtualGpus(text) !== undefined, pattern.test(text), text);
    assert.deepEqual(parseVirtualGpus(' V100 : 4 '), { name: 'V100', count: 4 });
  });
});
