import assert from 'node:assert/strict';
import type { NodeDefinition } from '../../../src/cluster';
import { gpuTrouble, inventoryOf } from '../../../src/engine/inventory';
import { parseFacts, type GpuFact, type NodeFacts } from '../../../src/node/facts';

const gpus = (...lines: string[]): readonly GpuFact[] => parseFacts(['host box', ...lines]).gpus;

describe('the GPUs of a probe', () => {
  const A100 = [
    'gpu 0, GPU-5d5ba0d6, 40960, 0, NVIDIA A100-SXM4-40GB',
    'gpu 1, GPU-6ea1f9c4, 40960, 0, NVIDIA A100-SXM4-40GB',
  ];
  const MIG = [
    'mig 0, Disabled',
    'mig 1, Enabled',
    'mig GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6)',
    'mig GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-6ea1f9c4)',
    'mig   MIG 3g.20gb     Device  0: (UUID: MIG-c7384736-a75d-5afc-978f-d2f1294409fd)',
    'mig   MIG 1g.5gb      Device  1: (UUID: MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d)',
  ];

  it('are those of nvidia-smi, without one that is broken', () => {
    assert.deepEqual(gpus(A100[0] ?? '', 'gpu 1, GPU-x, [Unknown Error], [Unknown Error], NVIDIA A100'), [
      { index: 0, uuid: 'GPU-5d5ba0d6', name: 'NVIDIA A100-SXM4-40GB', memoryMiB: 40960 },
    ]);
  });

  it('are missed, with the words of nvidia-smi, where it fails and there were some or some are declared', () => {
    const none = parseFacts(['host box', 'gpu No devices were found', 'gpu exit code 6']);
    const failed = parseFacts(['host box', 'gpu Failed to initialize NVML', 'gpu exit code 18']);
    const hung = parseFacts(['host box', 'gpu exit code 124']);
    const noTool = parseFacts(['host box']);
    const virtual = { name: 'V100', count: 2 };
    const box = { name: 'box' };
    const had = (node: NodeDefinition, facts: NodeFacts): NodeDefinition => ({
      ...node,
      inventory: inventoryOf(node, facts, 'box'),
    });
    const gpuNode = had(box, parseFacts(['host box', ...A100]));
    const saidNode = had({ ...box, virtual }, noTool);
    const words = (node: NodeDefinition): unknown[] =>
      [none, failed, hung, noTool].map((facts) => gpuTrouble(node, facts));
    const told = ['Failed to initialize NVML', 'exit code 124'].map((text) => `nvidia-smi: ${text}`);
    assert.deepEqual(words(gpuNode), ['nvidia-smi: No devices were found', ...told, undefined]);
    assert.deepEqual(words(saidNode), [undefined, ...told, undefined]);
    assert.deepEqual(words({ ...box, virtual }), [undefined, ...told, undefined]);
    assert.deepEqual(words(box), [undefined, undefined, undefined, undefined]);
    const one = parseFacts([
      'host box',
      ...A100.slice(1),
      'gpu 0, GPU-x, [Unknown Error], [Unknown Error], A100',
    ]);
    assert.match(one.trouble ?? '', /^nvidia-smi: 0, GPU-x, \[Unknown Error\]/);
    assert.equal(gpuTrouble(gpuNode, one), undefined);
  });

  it('are missed, with the words of AMD’s tools, as with those of nvidia-smi', () => {
    const driver = 'rocm-smi: ERROR:root:Driver not initialized (amdgpu not found in modules)';
    const none = parseFacts(['host box', `amdtrouble ${driver}`]);
    const failed = parseFacts(['host box', 'amdtrouble amd-smi: exit code 1']);
    const odd = parseFacts(['host box', 'rocm card0 is odd']);
    const box = { name: 'box' };
    const declared = { ...box, virtual: { name: 'V100', count: 2 } };
    const seen = parseFacts(['host box', 'rocm device,GUID,Card Series', 'rocm card0,51219,MI250']);
    const had = { ...box, inventory: inventoryOf(box, seen, 'box') };
    const words = (node: NodeDefinition): unknown[] =>
      [none, failed, odd, seen].map((facts) => gpuTrouble(node, facts));
    assert.deepEqual(words(had), [
      driver,
      'amd-smi: exit code 1',
      'rocm-smi cannot be read: card0 is odd',
      undefined,
    ]);
    // Without the driver there is no GPU for those that are declared to stand in the way of.
    assert.deepEqual(words(declared).slice(0, 2), [undefined, 'amd-smi: exit code 1']);
    const both = parseFacts([
      'host box',
      'gpu Failed to initialize NVML',
      'amdtrouble rocm-smi: exit code 1',
    ]);
    assert.equal(both.trouble, 'nvidia-smi: Failed to initialize NVML');
  });

  it('may have no memory of their own', () => {
    assert.deepEqual(gpus('gpu 0, GPU-spark, [N/A], [N/A], NVIDIA GB10'), [
      { index: 0, uuid: 'GPU-spark', name: 'NVIDIA GB10' },
    ]);
  });

  it('are the slices of one in MIG mode, instead of itself', () => {
    assert.deepEqual(
      gpus(...A100, ...MIG).map(({ index, slice, name, memoryMiB }) => [index, slice, name, memoryMiB]),
      [
        [0, undefined, 'NVIDIA A100-SXM4-40GB', 40960],
        [1, 0, 'NVIDIA A100-SXM4-40GB MIG 3g.20gb', 20480],
        [1, 1, 'NVIDIA A100-SXM4-40GB MIG 1g.5gb', 5120],
      ],
    );
    assert.deepEqual(
      gpus(A100[0] ?? '', 'mig 0, Enabled', 'mig GPU 0: NVIDIA A100 (UUID: GPU-5d5ba0d6)'),
      [],
    );
  });

  it('are called by their uuids also where an old driver writes them with slashes', () => {
    const facts = parseFacts([
      'host box',
      ...A100,
      'mig 1, Enabled',
      'mig GPU 1: A100-SXM4-40GB (UUID: GPU-6ea1f9c4)',
      'mig   MIG 3g.20gb Device 0: (UUID: MIG-GPU-6ea1f9c4/1/0)',
    ]);
    assert.equal(inventoryOf({ name: 'box' }, facts, 'box').devices[1]?.lease, 'MIG-GPU-6ea1f9c4+1+0');
  });

  it('keep to the GPUs that their owner lets jobs use, with all slices of each', () => {
    const facts = parseFacts(['host box', ...A100, ...MIG]);
    const devices = (limits: object): unknown =>
      inventoryOf({ name: 'box', limits }, facts, 'box').devices.map(({ index, name }) => [index, name]);
    assert.deepEqual(devices({ devices: [1] }), [
      [2000, 'A100-MIG-3g.20gb'],
      [2001, 'A100-MIG-1g.5gb'],
    ]);
    assert.deepEqual(devices({ gpus: { name: 'BIG', count: 2 } }), [
      [0, 'BIG'],
      [2000, 'A100-MIG-3g.20gb'],
    ]);
  });

  // Column names as rocm-smi of ROCm 6 has them, and in the other case of those before.
  const ROCM =
    'rocm device,Unique ID,VRAM Total Memory (B),VRAM Total Used Memory (B),Card Series,Card Model,Card Vendor,Card SKU,Subsystem ID,Device Rev,Node ID,GUID,GFX Version';

  it('are those of rocm-smi, in the order in which ROCm counts them', () => {
    const row = (card: number, node: number, guid: number, series: string): string =>
      `rocm card${card},0x19645d9a01fc11b${card},68702699520,10960896,${series},0x740c,"Advanced Micro Devices, Inc. [AMD/ATI]",D65209,0x0b0c,0x01,${node},${guid},gfx9010`;
    assert.deepEqual(
      gpus(
        'rocm WARNING: AMD GPU device(s) is/are in a low-power state. Check power control/runtime_status',
        'rocm ',
        ROCM,
        row(0, 3, 51219, 'AMD INSTINCT MI250 (MCM) OAM AC MBA'),
        row(1, 2, 29921, 'AMD INSTINCT MI250 (MCM) OAM AC MBA'),
      ),
      [
        { index: 0, uuid: 'AMD-29921', name: 'AMD INSTINCT MI250 (MCM) OAM AC MBA', memoryMiB: 65520 },
        { index: 1, uuid: 'AMD-51219', name: 'AMD INSTINCT MI250 (MCM) OAM AC MBA', memoryMiB: 65520 },
      ],
    );
  });

  it('are those of an older rocm-smi, which has fewer columns', () => {
    assert.deepEqual(
      gpus(
        'rocm device,Unique ID,VRAM Total Memory (B),VRAM Total Used Memory (B),Card series,Card model,Card vendor,Card SKU',
        'rocm card0,0x18f68e602b8a790f,68702699520,10960896,Instinct MI210,0x0c34,Advanced Micro Devices Inc. [AMD/ATI],D67301',
      ),
      [{ index: 0, uuid: 'AMD-0x18f68e602b8a790f', name: 'Instinct MI210', memoryMiB: 65520 }],
    );
  });

  it('are those of amd-smi', () => {
    assert.deepEqual(
      gpus(
        'amd gpu,gpu_bdf,gpu_uuid,kfd_id,node_id,partition_id',
        'amd 0,0000:0c:00.0,c0ff74a1-0000-1000-80b1-06985c515c91,45412,3,0',
        'amd 1,0000:22:00.0,bbff74a1-0000-1000-80b0-9363b4d6f06e,1241,2,0',
        'amd gpu,market_name,vendor_id,vendor_name,subvendor_id,device_id,subsystem_id,rev_id,asic_serial,oam_id,num_compute_units,target_graphics_version,type,vendor,size,bit_width,max_bandwidth',
        'amd 0,AMD Instinct MI300X,0x1002,Advanced Micro Devices Inc. [AMD/ATI],0x1002,0x74a1,0x74a1,0x00,0x6F1F0A2B3C4D5E6F,7,304,gfx942,HBM3,HYNIX,196592,8192,N/A',
        'amd 1,AMD Instinct MI300X,0x1002,Advanced Micro Devices Inc. [AMD/ATI],0x1002,0x74a1,0x74a1,0x00,0x6F1F0A2B3C4D5E70,2,304,gfx942,HBM3,HYNIX,196592,8192,N/A',
      ),
      [
        { index: 0, uuid: 'AMD-1241', name: 'AMD Instinct MI300X', memoryMiB: 196592 },
        { index: 1, uuid: 'AMD-45412', name: 'AMD Instinct MI300X', memoryMiB: 196592 },
      ],
    );
  });

  it('are NVIDIA’s where a box has a graphics card of AMD as well', () => {
    assert.equal(gpus(...A100, ROCM, 'rocm card0,1,1,1,AMD Radeon Graphics,a,b,c,d,e,1,2,f').length, 2);
  });
});
