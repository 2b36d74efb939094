import { gpuNameMatches as sliceMatches, isSlice } from '../cluster/gpuNames';
import { acceleratorPlaces, closest, type AcceleratorPlace, type KnownGpus, type Problem } from '../task';

/**
 * What a file asks for that no known cluster has: a warning at each alternative of a task none of whose alternatives
 * can be had. Nothing is said while no cluster is known.
 */
export function gpuProblems(text: string, gpus: readonly KnownGpus[]): Problem[] {
  if (gpus.length === 0) return [];
  return acceleratorPlaces(text).flatMap((alternatives) => {
    const problems = alternatives.map((place) => ({ place, problem: problemOf(place, gpus) }));
    if (problems.some(({ problem }) => !problem)) return [];
    return problems.flatMap(({ place, problem }) => (problem && !place.doubted ? [problem] : []));
  });
}

function problemOf(place: AcceleratorPlace, gpus: readonly KnownGpus[]): Problem | undefined {
  const { request, start, end } = place;
  const { name, count } = request;
  // By memory alone it may be any of them; only the nodes know.
  if (name === undefined) return undefined;
  const matching = gpus.filter((gpu) => gpuNameMatches(name, gpu.name));
  if (matching.length === 0) {
    const meant = closest(
      name,
      gpus.map((gpu) => gpu.name),
    );
    const have = [...new Set(gpus.map((gpu) => gpu.name))].join(', ');
    const message = `No cluster here has the accelerator ${name}. There are: ${have}.`;
    const fix = { title: `Change to \`${meant ?? ''}\``, start, end, text: `${meant ?? ''}:${count}` };
    const fixes = meant !== undefined && place.isText ? { fixes: [fix] } : {};
    return { severity: 'warning', code: 'unknown-accelerator', message, start, end, ...fixes };
  }
  const most = Math.max(...matching.map(({ mostOnNode, total }) => mostOnNode ?? total));
  if (count <= most) return undefined;
  const message = `${name}:${count} fits no node here: the most that one node has is ${most}.`;
  const fix = { title: `Change to ${most}`, start, end, text: `${name}:${most}` };
  return {
    severity: 'warning',
    code: 'does-not-fit',
    message,
    start,
    end,
    ...(place.isText && { fixes: [fix] }),
  };
}

/** Whether a device may answer a request. The engine looks closer (memory, slices); this must only not warn of what runs. */
function gpuNameMatches(requested: string, device: string): boolean {
  const want = requested.toLowerCase();
  const have = device.toLowerCase();
  if (isSlice(want) || isSlice(have)) return sliceMatches(requested, device);
  const model = want.replace(/-\d+gb$/, '');
  return have === want || have.startsWith(`${want}-`) || have === model;
}
