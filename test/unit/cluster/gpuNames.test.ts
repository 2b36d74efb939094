import assert from 'node:assert/strict';
import { canonicalGpuName, gpuMemoryMatches, gpuNameMatches } from '../../../src/cluster/gpuNames';

/** What nvidia-smi (or rocm-smi) prints, the memory it reports in MiB, and the catalog's name. */
const CARDS: readonly (readonly [string, number | undefined, string])[] = [
  ['Tesla V100-SXM2-16GB', 16160, 'V100'],
  ['Tesla V100-SXM2-32GB', 32510, 'V100-32GB'],
  ['Tesla V100-SXM3-32GB', 32768, 'V100-32GB'],
  ['Tesla V100-PCIE-16GB', 16384, 'V100'],
  ['Tesla V100-PCIE-32GB', 32768, 'V100-32GB'],
  ['Tesla V100S-PCIE-32GB', 32768, 'V100-32GB'],
  ['Tesla V100-DGXS-32GB', 32505, 'V100-32GB'],
  ['Tesla V100-FHHL-16GB', 16160, 'V100'],
  ['Tesla V100-SXM2-32GB-LS', 32510, 'V100-32GB'],
  ['NVIDIA A100-SXM4-40GB', 40536, 'A100'],
  ['NVIDIA A100-SXM4-80GB', 81251, 'A100-80GB'],
  ['NVIDIA A100-SXM-64GB', 65536, 'A100-64GB'],
  ['NVIDIA A100-PCIE-40GB', 40960, 'A100'],
  ['NVIDIA A100 80GB PCIe', 81920, 'A100-80GB'],
  ['A100-SXM4-40GB', 40537, 'A100'],
  ['NVIDIA A100-PG509-200', 81251, 'A100-80GB'],
  ['NVIDIA A800-SXM4-80GB', 81251, 'A800-80GB'],
  ['NVIDIA H100 80GB HBM3', 81559, 'H100'],
  ['NVIDIA H100 PCIe', 81559, 'H100'],
  ['NVIDIA H100 NVL', 95830, 'H100-NVL'],
  ['NVIDIA H200', 143771, 'H200'],
  ['NVIDIA H200 NVL', 143771, 'H200-NVL'],
  ['NVIDIA H20', 97871, 'H20'],
  ['NVIDIA H800', 81559, 'H800'],
  ['NVIDIA GH200 480GB', 97871, 'GH200'],
  ['NVIDIA GH200 120GB', 97871, 'GH200'],
  ['NVIDIA B200', 183359, 'B200'],
  ['NVIDIA B300 SXM6 AC', 275040, 'B300'],
  ['NVIDIA GB200', 189471, 'GB200'],
  ['NVIDIA GB10', undefined, 'GB10'],
  ['NVIDIA L4', 23034, 'L4'],
  ['NVIDIA L40', 46068, 'L40'],
  ['NVIDIA L40S', 46068, 'L40S'],
  ['NVIDIA L20', 46068, 'L20'],
  ['NVIDIA A2', 15356, 'A2'],
  ['NVIDIA A10', 23028, 'A10'],
  ['NVIDIA A10G', 23028, 'A10G'],
  ['NVIDIA A16', 15356, 'A16'],
  ['NVIDIA A30', 24576, 'A30'],
  ['NVIDIA A40', 46068, 'A40'],
  ['Tesla T4', 15360, 'T4'],
  ['NVIDIA T4G', 15360, 'T4g'],
  ['Tesla P100-PCIE-16GB', 16280, 'P100'],
  ['Tesla P100-SXM2-16GB', 16280, 'P100'],
  ['Tesla P100-PCIE-12GB', 12198, 'P100-12GB'],
  ['Tesla P40', 22919, 'P40'],
  ['Tesla P4', 7611, 'P4'],
  ['Tesla M60', 7618, 'M60'],
  ['Tesla M40', 11448, 'M40'],
  ['Tesla M40 24GB', 22945, 'M40-24GB'],
  ['Tesla K80', 11441, 'K80'],
  ['Tesla K40m', 11441, 'K40'],
  ['NVIDIA GeForce RTX 5090', 32607, 'RTX5090'],
  ['NVIDIA GeForce RTX 4090', 24564, 'RTX4090'],
  ['NVIDIA GeForce RTX 4090 D', 24564, 'RTX4090D'],
  ['NVIDIA GeForce RTX 4090 Laptop GPU', 16376, 'RTX4090-Laptop'],
  ['NVIDIA GeForce RTX 4070 Ti SUPER', 16376, 'RTX4070TiSUPER'],
  ['NVIDIA GeForce RTX 3090', 24576, 'RTX3090'],
  ['NVIDIA GeForce RTX 3080 Ti', 12288, 'RTX3080Ti'],
  ['GeForce RTX 2080 Ti', 11019, 'RTX2080Ti'],
  ['NVIDIA GeForce GTX 1080 Ti', 11264, 'GTX1080Ti'],
  ['GeForce GTX TITAN X', 12288, 'GTXTITANX'],
  ['NVIDIA TITAN RTX', 24576, 'TITANRTX'],
  ['NVIDIA TITAN V', 12066, 'TITANV'],
  ['NVIDIA TITAN Xp', 12196, 'TITANXp'],
  ['NVIDIA RTX A6000', 49140, 'A6000'],
  ['NVIDIA RTX A5000', 24564, 'A5000'],
  ['NVIDIA RTX A4000', 16376, 'A4000'],
  ['RTX A6000', 48685, 'A6000'],
  ['NVIDIA RTX 6000 Ada Generation', 49140, 'RTX6000-Ada'],
  ['NVIDIA RTX 4000 SFF Ada Generation', 20475, 'RTX4000-Ada'],
  ['NVIDIA RTX PRO 6000 Blackwell Server Edition', 97887, 'RTXPRO6000'],
  ['NVIDIA RTX PRO 6000 Blackwell Workstation Edition', 97887, 'RTXPRO6000'],
  ['Quadro RTX 6000', 24576, 'RTX6000'],
  ['Quadro RTX 8000', 49152, 'RTX8000'],
  ['Quadro P4000', 8192, 'P4000'],
  ['NVIDIA A100-SXM4-40GB MIG 1g.5gb', 4864, 'A100-MIG-1g.5gb'],
  ['NVIDIA A100-SXM4-80GB MIG 3g.40gb', 81251, 'A100-80GB-MIG-3g.40gb'],
  ['NVIDIA A100-PG509-200 MIG 2g.20gb', 81251, 'A100-80GB-MIG-2g.20gb'],
  ['NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb', 40536, 'A100-MIG-1c.3g.20gb'],
  ['NVIDIA A30 MIG 1g.6gb', 24576, 'A30-MIG-1g.6gb'],
  ['NVIDIA H200 MIG 1g.18gb', 143771, 'H200-MIG-1g.18gb'],
  ['NVIDIA RTX PRO 6000 Blackwell Server Edition MIG 1g.24gb+gfx', 97887, 'RTXPRO6000-MIG-1g.24gb+gfx'],
  ['NVIDIA H100 80GB HBM3 MIG 1g.10gb+me', 9984, 'H100-MIG-1g.10gb+me'],
  ['AMD Instinct MI300X', 196592, 'MI300X'],
  ['AMD Instinct MI250X / MI250', 65520, 'MI250X'],
  ['AMD Instinct MI300X OAM', 196592, 'MI300X'],
  ['AMD Instinct MI325X', 262128, 'MI325X'],
  ['AMD Instinct MI355X', 294896, 'MI355X'],
  ['AMD Instinct MI300A', 131072, 'MI300A'],
  ['AMD INSTINCT MI250 (MCM) OAM AC MBA', 65520, 'MI250'],
  ['Instinct MI210', 65520, 'MI210'],
  ['Arcturus GL-XL [Instinct MI100]', 32752, 'MI100'],
  ['AMD Radeon AI PRO R9700', 32624, 'R9700'],
  ['AMD Radeon PRO W7800', 32752, 'W7800'],
  ['AMD Radeon VII', 16368, 'VII'],
  ['AMD Radeon RX 7900 XTX', 24560, 'RX7900XTX'],
  ['AMD Radeon Pro W7900', 46064, 'W7900'],
];

describe('canonicalGpuName', () => {
  for (const [marketing, memory, name] of CARDS) {
    it(`calls ${marketing} ${name}`, () => assert.equal(canonicalGpuName(marketing, memory), name));
  }

  it('leaves names that are canonical already as they are', () => {
    for (const [, memory, name] of CARDS) assert.equal(canonicalGpuName(name, memory), name);
  });

  it('does without the memory when the name tells it', () => {
    assert.equal(canonicalGpuName('Tesla V100-SXM2-32GB'), 'V100-32GB');
    assert.equal(canonicalGpuName('V100'), 'V100');
  });
});

describe('gpuNameMatches', () => {
  const matches: readonly (readonly [string, string, number | undefined, boolean])[] = [
    ['V100', 'V100', undefined, true],
    ['v100', 'V100-32GB', undefined, true],
    ['A100', 'A100-80GB', undefined, true],
    ['A100', 'A100-80GB-SXM', undefined, true],
    ['A100-80GB', 'A100-80GB', undefined, true],
    ['A100-80gb', 'A100-80GB-SXM', undefined, true],
    ['A100-80GB-SXM', 'A100-80GB', undefined, false],
    ['A100-80GB', 'A100', 40536, false],
    ['A100-80GB', 'A100', undefined, false],
    ['A100-40GB', 'A100', 40536, true],
    ['V100-16GB', 'V100-32GB', 32510, false],
    ['H100-80GB', 'H100', 81559, true],
    ['H100', 'H100-NVL', 95830, true],
    ['A100', 'A100-MIG-1g.5gb', 4864, false],
    ['3g.20gb', 'A100-MIG-3g.20gb', 20480, true],
    ['MIG-3G.20GB', 'A100-MIG-3g.20gb', 20480, true],
    ['mig-3g.20gb', 'H100-MIG-3g.20gb', 20480, true],
    ['nvidia.com/mig-3g.20gb', 'A100-MIG-3g.20gb', 20480, true],
    ['a100_3g.20gb', 'A100-MIG-3g.20gb', 20480, true],
    ['A100-40GB-MIG-1g.10gb', 'A100-MIG-1g.10gb', 10240, true],
    ['A100-80GB-MIG-1g.10gb', 'A100-MIG-1g.10gb', 10240, false],
    ['A100-SXM4-40GB-MIG-3g.20gb', 'A100-MIG-3g.20gb', 20480, true],
    ['A100-SXM4-80GB-MIG-3g.40gb', 'A100-80GB-MIG-3g.40gb', 40960, true],
    ['A100-MIG-3g.40gb', 'A100-80GB-MIG-3g.40gb', 40960, true],
    ['A100-MIG-3g.20gb', 'A100-80GB-MIG-3g.40gb', 40960, false],
    ['H100-MIG-3g.20gb', 'A100-MIG-3g.20gb', 20480, false],
    ['1g.10gb', 'H100-MIG-1g.10gb+me', 9984, false],
    ['A100-MIG-3g.20gb', 'A100', 40536, false],
    ['A100-80GB', 'A100-80GB-MIG-3g.40gb', 40960, false],
    ['A10', 'A10G', undefined, false],
    ['A10', 'A100', undefined, false],
    ['L4', 'L40S', undefined, false],
    ['RTX6000', 'RTX6000-Ada', undefined, false],
  ];
  for (const [request, device, memory, expected] of matches) {
    it(`${request} ${expected ? 'takes' : 'does not take'} ${device} (${memory ?? 'memory unknown'})`, () =>
      assert.equal(gpuNameMatches(request, device, memory), expected));
  }
});

describe('gpuMemoryMatches', () => {
  const gb = (amount: number, atLeast = false) => ({ amount: amount * 1024, atLeast });

  it('finds each card by its advertised size, in spite of what ECC takes', () => {
    for (const [size, reported] of [
      [16, 15079],
      [16, 16160],
      [24, 22731],
      [40, 40536],
      [48, 45634],
      [80, 81251],
      [80, 81559],
      [80, 81920],
      [141, 143771],
      [12, 11441],
    ] as const) {
      assert.equal(gpuMemoryMatches(gb(size), reported), true, `${size} GB, ${reported} MiB`);
      assert.equal(gpuMemoryMatches(gb(size, true), reported), true, `${size} GB+, ${reported} MiB`);
    }
  });

  it('tells neighbouring sizes apart', () => {
    assert.equal(gpuMemoryMatches(gb(12, true), 11264), false);
    assert.equal(gpuMemoryMatches(gb(24, true), 20475), false);
    assert.equal(gpuMemoryMatches(gb(16), 24564), false);
    assert.equal(gpuMemoryMatches(gb(16, true), 24564), true);
    assert.equal(gpuMemoryMatches(gb(16, true), undefined), false);
  });
});
