import { ResponseError } from 'vscode-jsonrpc/node';
import { QueueError } from '../engine';
import { StoreError } from '../store';
import { REFUSED, type WireError } from './protocol';

/** An error as the other process gets it. */
export function toWire(error: unknown): ResponseError<WireError> {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof QueueError)
    return new ResponseError(REFUSED, message, { kind: 'queue', code: error.code });
  if (error instanceof StoreError)
    return new ResponseError(REFUSED, message, { kind: 'store', code: error.code });
  return new ResponseError(REFUSED, message, { kind: 'other', code: 'error' });
}

/** The error that was thrown there; the connection's own errors stay as they are. */
export function fromWire(error: unknown): unknown {
  if (!(error instanceof ResponseError) || error.code !== REFUSED) return error;
  const data = error.data as WireError;
  switch (data.kind) {
    case 'queue':
      return new QueueError(data.code as QueueError['code'], error.message);
    case 'store':
      return new StoreError(data.code, error.message);
    case 'other':
      return new Error(error.message);
  }
}
