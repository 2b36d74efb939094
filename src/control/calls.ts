import type { Engine } from '../engine';
import { Fetches } from './fetches';
import type { CallName, Calls, Params, Result } from './protocol';
import type { Publisher } from './publisher';

type Handlers = { [M in CallName]: (params: Calls[M]['params']) => Promise<Calls[M]['result']> };

/** Answers calls, those of this process and those of clients, from an engine. */
export class CallTable {
  private readonly handlers: Handlers;

  constructor(engine: Engine, publisher: Publisher) {
    const fetches = new Fetches(engine);
    this.handlers = {
      addCluster: ({ definition }) => done(engine.addCluster(definition)),
      defineLocal: ({ name, virtual }) => done(engine.defineLocal(name, virtual ?? undefined)),
      changeNodes: ({ cluster, change }) => done(engine.changeNodes(cluster, change)),
      removeCluster: ({ name }) => done(engine.removeCluster(name)),
      submit: ({ task, options }) => engine.submit(task, options),
      submitGroup: ({ task, variants, options }) => engine.submitGroup(task, variants, options),
      runAgain: ({ cluster, id, user, uuid }) => engine.runAgain(cluster, id, user, uuid),
      cancel: ({ cluster, ids }) => engine.cancel(cluster, ids),
      connect: ({ cluster }) => {
        engine.connect(cluster);
        return Promise.resolve(null);
      },
      refresh: ({ cluster }) => done(engine.refresh(cluster)),
      mount: ({ cluster, mount, options }) => done(engine.mount(cluster, mount, options)),
      staleMounts: ({ cluster, mounts }) => engine.staleMounts(cluster, mounts),
      noteLaunch: ({ cluster, step }) => done(engine.noteLaunch(cluster, step ?? undefined)),
      resumeAtBoot: ({ cluster, on }) => engine.resumeAtBoot(cluster, on),
      reorder: ({ cluster, id, change }) => done(engine.reorder(cluster, id, change)),
      fetch: (params) => fetches.run(params),
      fetchState: ({ fetch }) => Promise.resolve(fetches.state(fetch)),
      stopFetch: ({ fetch }) => {
        fetches.stop(fetch);
        return Promise.resolve(null);
      },
      list: ({ cluster, limit }) => Promise.resolve(engine.jobs(cluster, limit)),
      widen: ({ cluster, limit }) => Promise.resolve(publisher.widen(cluster, limit)),
      find: ({ cluster, id }) => engine.find(cluster, id),
      archived: ({ cluster, limit }) => engine.archived(cluster, limit),
    };
  }

  async run<M extends CallName>(method: M, params: Params<M>): Promise<Result<M>> {
    const handler: Handlers[M] = this.handlers[method];
    return handler(params);
  }
}

async function done(work: Promise<void>): Promise<null> {
  await work;
  return null;
}
