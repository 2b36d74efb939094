import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Engine, type EngineOptions } from '../../src/engine';
import type { JobRecord, JobStatus } from '../../src/queue';
import { parseTask, type Task } from '../../src/task';
import { wholeLog } from './queues';
import { TestNodes } from './sshd';

/** Real sshd nodes and an engine that reaches them; everything below one temporary folder. */
export class World {
  readonly home = mkdtempSync(path.join(os.tmpdir(), 'cq-engine-'));
  readonly nodes = new TestNodes();
  private opened: Engine | undefined;

  get engine(): Engine {
    if (!this.opened) throw new Error('open the engine first');
    return this.opened;
  }

  async open(options: Partial<EngineOptions> = {}): Promise<Engine> {
    this.opened = await Engine.open({
      home: this.home,
      sshConfigFile: this.nodes.configFile,
      graceS: 1,
      localEnv: { HOME: this.home },
      ...options,
    });
    return this.opened;
  }

  /** Stops the engine, as when the window closes; jobs go on. */
  async shut(): Promise<void> {
    await this.opened?.close();
    this.opened = undefined;
  }

  async close(): Promise<void> {
    await this.shut();
    await this.nodes.close();
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }

  /** Adds a cluster of the named nodes and waits until it was looked at. */
  async cluster(name: string, nodes: readonly string[], gpus = 0): Promise<void> {
    const virtual = gpus === 0 ? {} : { virtual: { name: 'V100', count: gpus } };
    await this.engine.addCluster({
      name,
      nodes: nodes.map((node) => ({ name: node, destination: node, ...virtual })),
    });
    await this.up(name);
  }

  /** Waits until all nodes of a cluster are connected. */
  up(name: string): Promise<void> {
    return this.until(
      () => this.engine.view(name)?.nodes.every(({ link }) => link.state === 'up') === true,
      `${name} is up`,
    );
  }

  submit(cluster: string, yaml: string | Task): Promise<JobRecord> {
    return this.engine.submit(typeof yaml === 'string' ? taskOf(yaml) : yaml, { cluster, user: 'me' });
  }

  status(cluster: string, id: number): JobStatus {
    return this.engine.job(cluster, id).record.status;
  }

  /** Waits for an event after which `met` holds. */
  until(met: () => boolean, what: string, limitMs = 20_000): Promise<void> {
    const { engine } = this;
    return new Promise((resolve, reject) => {
      const state = (): string =>
        engine
          .views()
          .map(
            ({ name, nodes }) =>
              `${name} ${JSON.stringify(nodes.map(({ link }) => link))} ${engine
                .jobs(name)
                .map(
                  ({ record, reason }) =>
                    `${record.id}:${record.status}${record.message ?? reason?.text ?? ''}`,
                )
                .join(' ')}`,
          )
          .join('\n');
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`waited ${limitMs} ms until ${what}; ${state()}`));
      }, limitMs);
      const check = (): void => {
        if (!met()) return;
        clearTimeout(timer);
        stop();
        resolve();
      };
      const stop = engine.onDidChange(check);
      check();
    });
  }

  async ended(cluster: string, id: number, limitMs?: number): Promise<JobRecord> {
    await this.until(
      () => this.engine.job(cluster, id).record.endedAt !== undefined,
      `job ${id} of ${cluster} has ended`,
      limitMs,
    );
    return this.engine.job(cluster, id).record;
  }

  /** The whole log of a job that has ended or will. */
  log(cluster: string, id: number): Promise<string> {
    return wholeLog(this.engine, cluster, id);
  }
}

/** A task of a YAML text that has no mistakes. */
export function taskOf(yaml: string): Task {
  const { task, problems } = parseTask(yaml);
  if (!task) throw new Error(`the test's task has mistakes: ${JSON.stringify(problems)}`);
  return task;
}
