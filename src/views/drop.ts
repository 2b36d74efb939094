import * as vscode from 'vscode';
import type { WindowQueue } from '../window';
import type { Element } from './elements';

const TYPE = 'application/vnd.code.tree.clusterqueue.queue';

/** Dragging waiting jobs onto another waiting job puts them just before it; onto their cluster, at the front. */
export class QueueDrop implements vscode.TreeDragAndDropController<Element> {
  readonly dragMimeTypes = [TYPE];
  readonly dropMimeTypes = [TYPE];

  constructor(private readonly window: WindowQueue) {}

  handleDrag(source: readonly Element[], data: vscode.DataTransfer): void {
    const jobs = source.filter((element) => element.kind === 'job');
    if (jobs.length > 0) data.set(TYPE, new vscode.DataTransferItem(JSON.stringify(jobs)));
  }

  async handleDrop(target: Element | undefined, data: vscode.DataTransfer): Promise<void> {
    const item = data.get(TYPE);
    if (!item || !target || (target.kind !== 'job' && target.kind !== 'cluster')) return;
    const jobs = JSON.parse(await item.asString()) as { cluster: string; id: number }[];
    const queue = await this.window.open();
    try {
      const before = target.kind === 'job' ? target.id : 'first';
      // Those put at the front come in reverse, so that several keep their order.
      const order = before === 'first' ? [...jobs].reverse() : jobs;
      for (const { cluster, id } of order) {
        if (cluster === target.cluster && id !== before) await queue.reorder(cluster, id, { move: before });
      }
    } catch (error) {
      void vscode.window.showErrorMessage(error instanceof Error ? error.message : String(error));
    }
  }
}
