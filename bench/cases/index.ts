import type { Case } from '../case';
import { cancel } from './cancel';
import { cold } from './cold';
import { dispatch } from './dispatch';
import { gap } from './gap';
import { idle } from './idle';
import { logBulk } from './logBulk';
import { logLatency } from './logLatency';
import { openStore } from './openStore';
import { reconnect } from './reconnect';
import { scheduler } from './scheduler';
import { submit } from './submit';
import { throughput } from './throughput';
import { validation } from './validation';

/** All cases, in the order in which they run and are reported. */
export const cases: readonly Case[] = [
  submit,
  dispatch,
  cold,
  throughput,
  gap,
  logBulk,
  logLatency,
  cancel,
  reconnect,
  openStore,
  validation,
  idle,
  scheduler,
];
