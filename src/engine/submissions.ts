import { randomUUID } from 'node:crypto';
import path from 'node:path';
import type { JobRecord, JobSpec } from '../queue';
import type { Store } from '../store';
import { MOST_VARIANTS, type Task, type Variant } from '../task';
import type { ClusterRuntime } from './clusterRuntime';
import { taskId } from './environment';
import { QueueError } from './errors';
import type { Groups } from './groups';
import { Repositories } from './repositories';
import type { SecretBox } from './secrets';
import { addressWith, assertSendable, draftJob, draftVariants, given, nameOf } from './submit';
import type { SubmitOptions } from './views';
import type { TakeOptions, Workdirs } from './workdirs';

const SWEEP_MS = 3_600_000;

/** What submissions need from the engine around them. */
export interface SubmissionsHost {
  /** The state folder. */
  readonly home: string;
  readonly sshConfigFile?: string | undefined;
  readonly leaveOutGit: boolean;
  readonly store: Store;
  readonly secrets: SecretBox;
  readonly workdirs: Workdirs;
  now(): number;
  /** @throws QueueError `no-cluster` */
  cluster(name: string): ClusterRuntime;
  /** Whether a cluster is still there, and stays. */
  accepts(cluster: ClusterRuntime): boolean;
  groups(cluster: string): Groups | undefined;
  /** @throws QueueError `no-job` */
  job(cluster: string, id: number): JobRecord;
  /** Has a change told; without a job, of the cluster. */
  touch(cluster: string, record?: JobRecord): void;
  complain(error: unknown): void;
}

/** What the workdir of a job was at its submit. */
type Taken = Pick<JobSpec, 'snapshot' | 'lacks' | 'git'>;

/** Makes jobs of tasks: each is on disk, with its workdir as it is now, before whoever asked for it hears of it. */
export class Submissions {
  /** Jobs that were asked for under a uuid and are not on disk yet. */
  private readonly making = new Map<string, Promise<JobRecord>>();
  private readonly repositories: Repositories;
  private sweptAt = 0;

  constructor(private readonly host: SubmissionsHost) {
    this.repositories = new Repositories(path.join(host.home, 'repositories'), host.sshConfigFile);
  }

  /** As `Engine.submit`. */
  async submit(task: Task, options: SubmitOptions): Promise<JobRecord> {
    return this.once(options.uuid, () => this.submitNew(task, options));
  }

  /** As `Engine.submitGroup`. */
  async submitGroup(task: Task, variants: readonly Variant[], options: SubmitOptions): Promise<JobRecord> {
    if (variants.length < 1 || variants.length > MOST_VARIANTS)
      throw new QueueError(
        'refused',
        `from 1 to ${MOST_VARIANTS} jobs can be queued at once, not ${variants.length}`,
      );
    return this.once(options.uuid, () => this.submitNew(task, options, variants));
  }

  /** As `Engine.runAgain`. */
  async runAgain(cluster: string, id: number, user: string, uuid?: string): Promise<JobRecord> {
    return this.once(uuid, () => this.runNew(cluster, id, user, uuid ?? randomUUID()));
  }

  /** Removes files of workdirs that none of the live jobs needs; at the start, and now and then while jobs come. */
  async sweep(live = this.host.store.liveJobs()): Promise<void> {
    this.sweptAt = Date.now();
    await this.host.workdirs.sweep(new Set(live.flatMap(({ spec }) => spec.snapshot ?? [])));
    await this.repositories.sweep();
  }

  /** Does what makes the job of this uuid, unless that was done or is being done. */
  private once(uuid: string | undefined, make: () => Promise<JobRecord>): Promise<JobRecord> {
    if (uuid === undefined) return make();
    const underWay = this.making.get(uuid);
    if (underWay) return underWay;
    const made = this.host.store.jobByUuid(uuid);
    if (made) return Promise.resolve(made);
    const making = make().finally(() => this.making.delete(uuid));
    this.making.set(uuid, making);
    return making;
  }

  private async submitNew(
    task: Task,
    options: SubmitOptions,
    variants?: readonly Variant[],
  ): Promise<JobRecord> {
    const { host } = this;
    const cluster = host.cluster(options.cluster);
    const [first, ...others] = variants ?? [];
    const drafts = first
      ? draftVariants(task, [first, ...others], options, host.now())
      : [draftJob(task, options, host.now())];
    for (const draft of drafts.slice(0, 1)) this.assertPossible(cluster, draft);
    const secrets = given(task.secrets);
    const taken = await this.takeWorkdirs(
      drafts.map(({ spec }) => spec),
      secrets,
    );
    if (Date.now() - this.sweptAt > SWEEP_MS) this.sweep().catch((error: unknown) => host.complain(error));
    const before = (options.after ?? []).map((id) => host.job(options.cluster, id));
    const after = before.map(({ uuid }) => uuid);
    const shared = {
      ...(after.length === 0 ? {} : { after, afterIds: options.after ?? [] }),
      ...(Object.keys(secrets).length === 0 ? {} : { sealedSecrets: host.secrets.seal(secrets) }),
    };
    const launched =
      options.setup === undefined ? {} : { taskId: taskId(host.job(options.cluster, options.setup)) };
    const jobs = drafts.map((draft, index) => ({
      ...draft,
      ...shared,
      spec: {
        ...draft.spec,
        ...launched,
        ...taken[index],
        ...setUp(cluster, draft.spec, taken[index]?.snapshot, before),
      },
    }));
    return this.enqueue(cluster, jobs, variants && nameOf(task, options));
  }

  private async runNew(name: string, id: number, user: string, uuid: string): Promise<JobRecord> {
    const { host } = this;
    const cluster = host.cluster(name);
    const old = host.job(name, id);
    this.assertPossible(cluster, old);
    const { name: job, priority, demand, sealedSecrets } = old;
    // It is no part of the old one's launch, and its workdir is taken anew.
    const { taskId: _taskId, lacks: _lacks, ...spec } = old.spec;
    // An earlier version may have taken what it then could not send.
    assertSendable({ ...(spec.run === undefined ? {} : { run: spec.run }), envs: spec.envs, secrets: {} });
    const secrets = spec.git && sealedSecrets !== undefined ? host.secrets.open(sealedSecrets) : {};
    const taken = await this.takeWorkdir(spec, secrets);
    return this.enqueue(cluster, [
      {
        uuid,
        cluster: name,
        name: job,
        user,
        status: 'PENDING',
        priority,
        demand,
        spec: { ...spec, ...taken, ...setUp(cluster, spec, taken.snapshot) },
        submittedAt: host.now(),
        ...(sealedSecrets === undefined ? {} : { sealedSecrets }),
      },
    ]);
  }

  /** @throws QueueError `refused` */
  private assertPossible(
    runtime: ClusterRuntime,
    { cluster, demand }: Pick<JobRecord, 'cluster' | 'demand'>,
  ): void {
    const refusal = runtime.refusal(demand);
    if (refusal !== undefined) throw new QueueError('refused', `${cluster} can never run this: ${refusal}`);
  }

  /** As `takeWorkdir`, for each of many; a workdir that several have is taken once. */
  private async takeWorkdirs(
    specs: readonly JobSpec[],
    secrets: Readonly<Record<string, string>>,
  ): Promise<Taken[]> {
    const known = new Map<string, Taken>();
    const taken: Taken[] = [];
    for (const spec of specs) {
      const key = JSON.stringify([spec.workdir, spec.git]);
      const one = known.get(key) ?? (await this.takeWorkdir(spec, secrets));
      known.set(key, one);
      taken.push(one);
    }
    return taken;
  }

  /** The workdir of a new job as it is now: what is to be added to its spec. */
  private async takeWorkdir(
    { workdir, git }: JobSpec,
    secrets: Readonly<Record<string, string>>,
  ): Promise<Taken> {
    if (workdir === undefined) return {};
    const { leaveOutGit } = this.host;
    if (!git) return this.takeFolder(workdir, { leaveOutGit });
    return this.repositories.with(
      addressWith(secrets, workdir),
      git.ref,
      async ({ folder, commit }) => ({
        // What is in a commit belongs to it, also where an ignore file names it.
        ...(await this.takeFolder(folder, { leaveOutGit, ignoreFiles: false })),
        git: { ...git, commit },
      }),
      workdir,
    );
  }

  private async takeFolder(folder: string, options: TakeOptions): Promise<Taken> {
    const { workdirs } = this.host;
    const snapshot = await workdirs.take(folder, options);
    const lacks = workdirs.lacking(folder, options);
    return lacks === undefined ? { snapshot } : { snapshot, lacks };
  }

  /**
   * Numbers jobs, stores them, and lets them be placed: in one turn, so that a start at once shares the records' fsync.
   * Resolves with the first. @throws QueueError `no-cluster`
   */
  private async enqueue(
    cluster: ClusterRuntime,
    drafts: readonly Omit<JobRecord, 'id' | 'order'>[],
    groupName?: string,
  ): Promise<JobRecord> {
    const { host } = this;
    // To take a workdir takes a while.
    if (!host.accepts(cluster))
      throw new QueueError(
        'no-cluster',
        `${cluster.definition.name} was taken down while the job was being submitted: nothing is queued`,
      );
    const records = drafts.map((draft): JobRecord => {
      const id = host.store.nextJobId(draft.cluster);
      return { ...draft, id, order: id };
    });
    const [first] = records;
    if (!first) throw new QueueError('refused', 'there is no job to queue');
    const numbered =
      groupName === undefined
        ? records
        : records.map((record) => ({
            ...record,
            group: { id: first.id, name: groupName, size: records.length },
          }));
    const durable = host.store.addJobs(numbered);
    const groups = host.groups(first.cluster);
    for (const record of numbered) groups?.meet(record);
    cluster.submit(numbered);
    for (const record of numbered) host.touch(record.cluster, record);
    try {
      await durable;
    } catch (error) {
      // Not on disk, so it was never accepted. (A placement that rode on the same fsync has come back by now.)
      await new Promise((resolve) => setImmediate(resolve));
      for (const record of numbered) cluster.withdraw(record);
      const { group } = numbered[0] ?? first;
      if (group) groups?.recount(group);
      host.touch(first.cluster);
      throw error;
    }
    return numbered[0] ?? first;
  }
}

/** Which setup's results a job finds in its workdir: of the one that it comes after, or of the cluster's last. */
function setUp(
  { definition }: ClusterRuntime,
  { phase }: JobSpec,
  snapshot: string | undefined,
  before: readonly JobRecord[] = [],
): Pick<JobSpec, 'setup'> {
  if (snapshot === undefined || phase === 'setup') return {};
  const own = before.find(({ spec }) => spec.phase === 'setup');
  const setup = own ? { uuid: own.uuid, snapshot: own.spec.snapshot } : definition.launch?.setup;
  return setup?.snapshot === undefined
    ? {}
    : { setup: { uuid: setup.uuid, same: setup.snapshot === snapshot } };
}
