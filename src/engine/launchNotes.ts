import type { LaunchState, LaunchStep } from '../cluster';
import type { JobRecord } from '../queue';

/** What is noted when a launch comes to a step, fails there, or (undefined) is done: a setup that has failed by then stays. */
export function atStep({ step: before, ...kept }: LaunchState, step: LaunchStep | undefined): LaunchState {
  const left = step ?? (before?.name === 'setup' ? before : undefined);
  return { ...kept, ...(left && { step: left }) };
}

/**
 * What is noted of a setup; undefined when nothing changes. What it has made in its workdir is for the jobs that come; one
 * that fails is where its launch stands, until a setup succeeds or the cluster is launched again.
 */
export function afterSetup(launch: LaunchState, job: JobRecord): LaunchState | undefined {
  const { status, uuid } = job;
  if (status === 'SUCCEEDED') return succeeded(launch, job);
  if (status !== 'FAILED_SETUP' && status !== 'LOST') return undefined;
  const { step } = launch;
  // The launch that queued it may not be through, and another one may have begun since.
  const isOfIt = step === undefined || step.name === 'setup' || step.jobs?.setup === uuid;
  return isOfIt ? { ...launch, step: failedStep(job) } : undefined;
}

function succeeded(
  { step, ...kept }: LaunchState,
  { uuid, spec: { snapshot } }: JobRecord,
): LaunchState | undefined {
  const made = snapshot === undefined || kept.setup?.uuid === uuid ? undefined : { uuid, snapshot };
  const mended = step?.name === 'setup';
  if (!made && !mended) return undefined;
  return { ...kept, ...(step && !mended && { step }), ...(made && { setup: made }) };
}

function failedStep({ id, status, message, spec: { file } }: JobRecord): LaunchStep {
  const words = `job ${id} is ${status}${message === undefined ? '' : `: ${message}`}`;
  return { name: 'setup', job: id, message: words, ...(file === undefined ? {} : { file }) };
}
