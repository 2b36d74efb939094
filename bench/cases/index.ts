import type { Case } from '../case';
import { cancel } from './cancel';
import { cancelAll } from './cancelAll';
import { cold } from './cold';
import { dispatch } from './dispatch';
import { extension } from './extension';
import { gap } from './gap';
import { idle } from './idle';
import { logBulk } from './logBulk';
import { logLatency } from './logLatency';
import { openStore } from './openStore';
import { reconnect } from './reconnect';
import { scheduler } from './scheduler';
import { staging } from './staging';
import { submit } from './submit';
import { sync } from './sync';
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
  cancelAll,
  reconnect,
  staging,
  sync,
  openStore,
  extension,
  validation,
  idle,
  scheduler,
];
