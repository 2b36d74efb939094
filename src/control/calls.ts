import type { Engine } from '../engine';
import type { CallName, Calls, Params, Result } from './protocol';
import type { Publisher } from './publisher';

type Handlers = { [M in CallName]: (params: Calls[M]['params']) => Promise<Calls[M]['result']> };

/** Answers calls, those of this process and those of clients, from an engine. */
export class CallTable {
  private readonly handlers: Handlers;

  constructor(engine: Engine, publisher: Publisher) {
    this.handlers = {
      addCluster: ({ definition }) => done(engine.addCluster(definition)),
      defineLocal: ({ name, virtual }) => done(engine.defineLocal(name, virtual ?? undefined)),
      removeCluster: ({ name }) => done(engine.removeCluster(name)),
      submit: ({ task, options }) => engine.submit(task, options),
      runAgain: ({ cluster, id, user, uuid }) => engine.runAgain(cluster, id, user, uuid),
      cancel: ({ cluster, ids }) => Promise.resolve(engine.cancel(cluster, ids)),
      connect: ({ cluster }) => {
        engine.connect(cluster);
        return Promise.resolve(null);
      },
      refresh: ({ cluster }) => done(engine.refresh(cluster)),
      mount: ({ cluster, source, destination }) => done(engine.mount(cluster, source, destination)),
      reorder: ({ cluster, id, change }) => done(engine.reorder(cluster, id, change)),
      list: ({ cluster, limit }) => Promise.resolve(engine.jobs(cluster, limit)),
      widen: ({ cluster, limit }) => Promise.resolve(publisher.widen(cluster, limit)),
      find: ({ cluster, id }) => Promise.resolve(engine.job(cluster, id)),
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
