import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { nodeWords } from '../../src/cli/nodeWords';
import type { NodeUsage } from '../../src/queue';
import { haveSshd } from '../support/sshd';
import { World } from '../support/world';

const LARGE = 'MIG-c7384736-a75d-5afc-978f-d2f1294409fd';
const SMALL = 'MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d';

/** An nvidia-smi of two A100, the second of which is in MIG mode; `processes` is a file with rows of its last table. */
const nvidiaSmi = (processes: string): string => `
case "$*" in
*index,uuid*) cat <<'EOT'
0, GPU-5d5ba0d6, 40960, 0, NVIDIA A100-SXM4-40GB
1, GPU-6ea1f9c4, 40960, 0, NVIDIA A100-SXM4-40GB
EOT
;;
*mig.mode.current*) printf '0, Disabled\\n1, Enabled\\n' ;;
*--query-compute-apps=*) ;;
-L) cat <<'EOT'
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-6ea1f9c4)
  MIG 3g.20gb     Device  0: (UUID: ${LARGE})
  MIG 1g.5gb      Device  1: (UUID: ${SMALL})
EOT
;;
'') cat <<'EOT'
+---------------------------------------------------------------------------------------+
| NVIDIA-SMI 535.216.01             Driver Version: 535.216.01   CUDA Version: 12.2     |
|-----------------------------------------+----------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id        Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |         Memory-Usage | GPU-Util  Compute M. |
|                                         |                      |               MIG M. |
|=========================================+======================+======================|
|   1  NVIDIA A100-SXM4-40GB          On  | 00000000:31:00.0 Off |                   On |
| N/A   29C    P0              42W / 400W |     39MiB / 40960MiB |     N/A      Default |
|                                         |                      |              Enabled |
+-----------------------------------------+----------------------+----------------------+

+---------------------------------------------------------------------------------------+
| MIG devices:                                                                          |
+------------------+--------------------------------+-----------+-----------------------+
| GPU  GI  CI  MIG |                   Memory-Usage |        Vol|      Shared           |
|      ID  ID  Dev |                     BAR1-Usage | SM     Unc| CE ENC DEC OFA JPG    |
|                  |                                |        ECC|                       |
|==================+================================+===========+=======================|
|  1    2   0   0  |              25MiB / 19968MiB  | 42      0 |  3   0    2    0    0 |
|                  |               0MiB / 32767MiB  |           |                       |
+------------------+--------------------------------+-----------+-----------------------+
|  1    9   0   1  |              12MiB /  4864MiB  | 14      0 |  1   0    0    0    0 |
|                  |               0MiB /  8191MiB  |           |                       |
+------------------+--------------------------------+-----------+-----------------------+

+---------------------------------------------------------------------------------------+
| Processes:                                                                            |
|  GPU   GI   CI        PID   Type   Process name                            GPU Memory |
|        ID   ID                                                             Usage      |
|=======================================================================================|
EOT
cat ${processes} 2>/dev/null || echo '|  No running processes found                                                           |'
;;
esac
exit 0`;

const SHOW = 'echo "$CUDA_VISIBLE_DEVICES|$CQ_DEVICES|${HIP_VISIBLE_DEVICES-unset}"';

/** What a node has seen of strangers is good for two seconds, and the test is faster. */
function forgetLook(home: string, node: string): void {
  rmSync(path.join(home, '.cluster-queue', node, 'foreign'), { force: true });
}

/** A process of nobody's queue. */
function stranger(): ChildProcess & { readonly pid: number } {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  if (child.pid === undefined) throw new Error('sleep did not start');
  return child as ChildProcess & { readonly pid: number };
}

// Where the node has perl, it starts staged jobs; else sh does.
for (const [way, without] of [
  ['with perl', {}],
  ['without perl', { CLUSTER_QUEUE_RELAY: 'no' }],
] as const) {
  describe(`the MIG slices of a node ${way}, on real sshd`, function () {
    if (!haveSshd) return;
    this.timeout(60_000);
    const world = new World();
    const processes = path.join(world.home, 'processes');
    const usage = (): NodeUsage['devices'] => world.engine.view('c')?.nodes[0]?.usage?.devices ?? [];
    let other: ReturnType<typeof stranger> | undefined;
    let home = '';
    before(async () => {
      ({ home } = await world.nodes.add('mig', {
        tools: { 'nvidia-smi': nvidiaSmi(processes) },
        env: without,
      }));
      await world.open();
      await world.cluster('c', ['mig']);
    });
    after(async () => {
      other?.kill();
      await world.close();
    });

    it('are offered in place of their GPU, each with a name, a number and its memory', () => {
      assert.deepEqual(
        world.engine
          .definition('c')
          .nodes[0]?.inventory?.devices.map(({ index, name, lease, memoryMiB }) => [
            index,
            name,
            lease,
            memoryMiB,
          ]),
        [
          [0, 'A100', 'GPU-5d5ba0d6', 40960],
          [2000, 'A100-MIG-3g.20gb', LARGE, 20480],
          [2001, 'A100-MIG-1g.5gb', SMALL, 5120],
        ],
      );
    });

    it('are given to jobs by their uuid, started by the engine and by the node, and only by name', async () => {
      const run = `run: |\n  ${SHOW}\n`;
      const jobs = [];
      for (const name of ['3g.20gb', 'A100-MIG-3g.20gb', 'mig-3g.20gb', 'a100', '1G.5GB:0.5', '1g.5gb:0.5'])
        jobs.push(await world.submit('c', `resources: {accelerators: "${name}"}\n${run}`));
      jobs.push(await world.submit('c', `resources: {accelerators: "4GB+"}\n${run}`));
      jobs.push(await world.submit('c', run));
      const seen = [];
      for (const { id } of jobs) {
        assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
        seen.push((await world.log('c', id)).trim());
      }
      const large = `${LARGE}|${LARGE}|unset`;
      const small = `${SMALL}|${SMALL}|unset`;
      assert.deepEqual(seen.slice(0, 6), [large, large, large, '0|0|unset', small, small]);
      assert.match(seen[6] ?? '', /^(0|MIG-.*)\|/);
      assert.equal(seen[7], '||unset');
    });

    it('are refused to who wants two GPUs of any name, since a CUDA process sees one slice', async () => {
      await assert.rejects(
        world.submit('c', 'resources: {accelerators: "4GB+:2"}\nrun: echo\n'),
        /needs 2 .* on one node; the largest node has 1/,
      );
      const both = await world.submit('c', 'resources: {accelerators: "A100-MIG-1g.5gb"}\nrun: echo\n');
      await world.ended('c', both.id);
    });

    it('wait for a process of nobody’s queue on the slice, not for one beside it', async () => {
      other = stranger();
      writeFileSync(
        processes,
        `|    1    2    0   ${other.pid}      C   python                                 14195MiB |\n`,
      );
      world.engine.connect('c');
      const held = await world.submit(
        'c',
        'resources: {accelerators: 1g.5gb}\nrun: while [ ! -e "$HOME/end" ]; do sleep 0.05; done\n',
      );
      await world.until(() => world.status('c', held.id) === 'RUNNING', 'the slice beside it is used');
      await world.shut();
      await world.open();
      world.engine.connect('c');
      await world.until(() => usage()[1]?.foreign !== undefined, 'the stranger is seen');
      forgetLook(home, 'mig');
      assert.deepEqual(
        usage().map(({ foreign }) => foreign),
        [undefined, os.userInfo().username, undefined],
      );
      const job = await world.submit('c', `resources: {accelerators: 3g.20gb}\nrun: |\n  ${SHOW}\n`);
      assert.match(
        world.engine.job('c', job.id).reason?.text ?? '',
        new RegExp(`GPU 1:0 of mig is used by ${os.userInfo().username}`),
      );
      rmSync(processes);
      assert.equal((await world.ended('c', job.id, 40_000)).status, 'SUCCEEDED');
      void world.engine.cancel('c', [held.id]);
      await world.ended('c', held.id);
    });
  });

  describe(`the GPUs of AMD ${way}, on real sshd`, function () {
    if (!haveSshd) return;
    this.timeout(60_000);
    const world = new World();
    const kfd = path.join(world.home, 'kfd');
    let other: ReturnType<typeof stranger> | undefined;
    let home = '';
    const ROCM_SMI = `[ "$*" = '--showproductname --showuniqueid --showmeminfo vram --csv' ] || exit 2
cat <<'EOT'
WARNING: AMD GPU device(s) is/are in a low-power state. Check power control/runtime_status

device,Unique ID,VRAM Total Memory (B),VRAM Total Used Memory (B),Card Series,Card Model,Card Vendor,Card SKU,Subsystem ID,Device Rev,Node ID,GUID,GFX Version
card0,0x19645d9a01fc11bd,68702699520,10960896,AMD INSTINCT MI250 (MCM) OAM AC MBA,0x740c,Advanced Micro Devices Inc. [AMD/ATI],D65209,0x0b0c,0x01,4,51219,gfx9010
card1,0x19645d9a01fc11be,68702699520,10960896,AMD INSTINCT MI250 (MCM) OAM AC MBA,0x740c,Advanced Micro Devices Inc. [AMD/ATI],D65209,0x0b0c,0x01,5,29921,gfx9010

EOT`;
    const AMD_SMI = `case "$*" in
'list --csv') cat <<'EOT'
gpu,gpu_bdf,gpu_uuid,kfd_id,node_id,partition_id
0,0000:0c:00.0,c0ff74a1-0000-1000-80b1-06985c515c91,45412,2,0
EOT
;;
'static --asic --vram --csv') cat <<'EOT'
gpu,market_name,vendor_id,vendor_name,subvendor_id,device_id,subsystem_id,rev_id,asic_serial,oam_id,num_compute_units,target_graphics_version,type,vendor,size,bit_width,max_bandwidth
0,AMD Instinct MI300X,0x1002,Advanced Micro Devices Inc. [AMD/ATI],0x1002,0x74a1,0x74a1,0x00,0x6F1F0A2B3C4D5E6F,7,304,gfx942,HBM3,HYNIX,196592,8192,N/A
EOT
;;
*) exit 2 ;;
esac`;
    before(async () => {
      const env = { CLUSTER_QUEUE_KFD: kfd, ...without };
      ({ home } = await world.nodes.add('old', { tools: { 'rocm-smi': ROCM_SMI }, env }));
      // Where the older tool is only a stub that fails.
      await world.nodes.add('new', { tools: { 'amd-smi': AMD_SMI, 'rocm-smi': 'echo gone; exit 1' }, env });
      await world.open();
      await world.cluster('c', ['old', 'new']);
    });
    after(async () => {
      other?.kill();
      await world.close();
    });

    it('are found by rocm-smi or amd-smi', () => {
      assert.deepEqual(
        world.engine
          .definition('c')
          .nodes.map(({ inventory }) =>
            inventory?.devices.map(({ name, lease, memoryMiB }) => [name, lease, memoryMiB]),
          ),
        [
          [
            ['MI250', 'AMD-51219', 65520],
            ['MI250', 'AMD-29921', 65520],
          ],
          [['MI300X', 'AMD-45412', 196592]],
        ],
      );
    });

    it('are given to jobs by what HIP and PyTorch read, and hidden from jobs without one', async () => {
      const jobs = [];
      for (const head of ['mi250:2', 'MI250', 'MI250', 'mi300x', 'MI300X'])
        jobs.push(
          await world.submit('c', `resources: {accelerators: "${head}"}\nrun: |\n  ${SHOW}; sleep 0.2\n`),
        );
      const seen = [];
      for (const { id } of jobs) {
        assert.equal((await world.ended('c', id)).status, 'SUCCEEDED');
        seen.push((await world.log('c', id)).trim());
      }
      assert.equal(seen[0], '0,1|0,1|0,1');
      assert.deepEqual(new Set(seen.slice(1, 3)), new Set(['0|0|0', '1|1|1']));
      assert.deepEqual(seen.slice(3), ['0|0|0', '0|0|0']);
      const without = await world.submit('c', `run: |\n  ${SHOW}\n`);
      await world.ended('c', without.id);
      assert.equal((await world.log('c', without.id)).trim(), '||-1');
    });

    it('wait for a process of nobody’s queue that has memory on them', async () => {
      other = stranger();
      const dir = path.join(kfd, 'proc', String(other.pid));
      mkdirSync(dir, { recursive: true });
      // Who opens the driver has such a file for each GPU.
      writeFileSync(path.join(dir, 'vram_51219'), '1073741824\n');
      writeFileSync(path.join(dir, 'vram_29921'), '0\n');
      await world.shut();
      await world.open();
      world.engine.connect('c');
      const usage = (): NodeUsage['devices'] => world.engine.view('c')?.nodes[0]?.usage?.devices ?? [];
      await world.until(() => usage()[0]?.foreign !== undefined, 'the stranger is seen');
      assert.equal(usage()[1]?.foreign, undefined);
      forgetLook(home, 'old');
      const jobs = [];
      for (let n = 0; n < 2; n++)
        jobs.push(await world.submit('c', `resources: {accelerators: MI250}\nrun: |\n  ${SHOW}\n`));
      for (const { id } of jobs) {
        await world.ended('c', id);
        assert.equal((await world.log('c', id)).trim(), '1|1|1');
      }
    });
  });
}

describe('an nvidia-smi that fails for a while, on real sshd', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const world = new World();
  const task = 'resources: {accelerators: V100:2}\n';
  let broken = '';
  before(async () => {
    const { home } = await world.nodes.add('node-a', {
      tools: {
        'nvidia-smi': `[ ! -e "$HOME/broken" ] || { cat "$HOME/broken"; exit 9; }
case "$*" in
*index,uuid*) printf '%s, GPU-%s, 16160, 0, Tesla V100-SXM2-16GB\\n' 0 a 1 b ;;
esac`,
      },
    });
    broken = path.join(home, 'broken');
    await world.open();
    await add('c');
    await world.up('c');
  });
  after(() => world.close());

  const add = (name: string): Promise<void> => {
    const virtual = { name: 'T4', count: 4 };
    return world.engine.addCluster({ name, nodes: [{ name: 'node-a', destination: 'node-a', virtual }] });
  };
  const seen = (cluster: string): unknown => {
    const node = world.engine.view(cluster)?.nodes[0];
    return [node?.link.state, node?.usage?.devices.map(({ name }) => name)];
  };
  const WORDS =
    /^node-a cannot take jobs until its GPUs can be seen: nvidia-smi: Unable to .*: Unknown Error$/;
  const saysSo = (cluster: string): boolean => {
    const link = world.engine.view(cluster)?.nodes[0]?.link;
    return link?.state === 'down' && WORDS.test(link.message);
  };
  const GPUS = ['V100', 'V100'];

  it('takes no GPU away, gives none twice, and is asked until it works', async () => {
    const used = path.join(world.home, 'used');
    const go = path.join(world.home, 'go');
    const run = (what: string): string =>
      `${task}run: |\n  echo "$CUDA_VISIBLE_DEVICES" >>${used}\n  ${what}\n  echo end >>${used}\n`;
    const first = await world.submit('c', run(`until [ -e ${go} ]; do sleep 0.05; done`));
    await world.until(() => world.status('c', first.id) === 'RUNNING', 'it runs');
    await world.shut();
    writeFileSync(broken, 'Unable to determine the device handle for GPU 0000:3B:00.0: Unknown Error\n');
    await world.open();
    await world.until(() => saysSo('c'), 'its trouble is seen');
    assert.deepEqual(seen('c'), ['down', GPUS]);
    const second = await world.submit('c', run('true'));
    writeFileSync(go, '');
    assert.equal((await world.ended('c', first.id)).status, 'SUCCEEDED');
    assert.equal(world.status('c', second.id), 'PENDING');
    assert.match(world.engine.job('c', second.id).reason?.text ?? '', WORDS);
    rmSync(broken);
    assert.equal((await world.ended('c', second.id)).status, 'SUCCEEDED');
    assert.deepEqual(seen('c'), ['up', GPUS]);
    assert.deepEqual(readFileSync(used, 'utf8'), '0,1\nend\n0,1\nend\n');
  });

  it('has no GPU declared in its place, where none was ever seen', async () => {
    writeFileSync(broken, 'Unable to determine the device handle for GPU 0000:3B:00.0: Unknown Error\n');
    await add('new');
    await world.until(() => saysSo('new'), 'its trouble is seen');
    assert.deepEqual(seen('new'), ['down', undefined]);
    rmSync(broken);
    await world.up('new');
    assert.deepEqual(seen('new'), ['up', GPUS]);
  });
});

describe('tools of GPUs that fail where none was ever seen, on real sshd', function () {
  if (!haveSshd) return;
  this.timeout(60_000);
  const TOOLS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    silent: { 'rocm-smi': 'exit 1' },
    traceback: { 'rocm-smi': 'printf "Traceback:\\n  File\\nOSError: no librocm\\n" >&2; exit 1' },
    errors: { 'amd-smi': 'printf "ERROR:root:no driver\\nERROR:root:no CPU\\n" >&2' },
    garbage: { 'rocm-smi': 'printf "\\001\\377what?\\n\\n"' },
    nvidia: { 'nvidia-smi': 'echo "Failed to initialize NVML"; exit 18' },
    healthy: {},
  };
  const world = new World();
  before(async () => {
    for (const [name, tools] of Object.entries(TOOLS)) await world.nodes.add(name, { tools });
    await world.open();
    await world.cluster('c', Object.keys(TOOLS));
  });
  after(() => world.close());

  it('are quoted by their nodes, which take jobs without a GPU, and by a refusal', async () => {
    const nodes = world.engine.view('c')?.nodes ?? [];
    assert.deepEqual(
      nodes.map(({ name, link, about }) => [name, link.state, about?.gpuTrouble]),
      [
        ['silent', 'up', 'rocm-smi: exit code 1'],
        ['traceback', 'up', 'rocm-smi: OSError: no librocm'],
        ['errors', 'up', 'amd-smi: ERROR:root:no driver'],
        ['garbage', 'up', 'rocm-smi: what?'],
        ['nvidia', 'up', 'nvidia-smi: Failed to initialize NVML'],
        ['healthy', 'up', undefined],
      ],
    );
    const [silent] = nodes;
    if (!silent) throw new Error('there is no node');
    assert.match(nodeWords(silent), /^silent: no GPU, \d+ CPUs \(rocm-smi: exit code 1\)$/);
    await assert.rejects(
      world.submit('c', 'resources: {accelerators: MI250}\nrun: echo\n'),
      /\(silent: rocm-smi: exit code 1, traceback: .*, nvidia: nvidia-smi: Failed to initialize NVML\)$/,
    );
  });
});
