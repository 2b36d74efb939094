import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { Presence } from '../../../src/engine/presence';

describe('a client that nodes hear of', () => {
  let pings: number;
  let reserved: boolean;
  let now: number;
  let presence: Presence;
  beforeEach(() => {
    pings = 0;
    now = 100;
    reserved = false;
    mock.timers.enable({ apis: ['setInterval'] });
    mock.method(performance, 'now', () => now);
    const broken = { ping: () => Promise.reject(new Error('the connection is gone')) };
    const session = {
      ping: () => {
        pings++;
        return Promise.resolve();
      },
    };
    presence = new Presence({ sessions: () => [broken, session], isReserved: () => reserved });
  });
  afterEach(() => {
    presence.close();
    mock.timers.reset();
    mock.restoreAll();
  });

  it('says so every 15 s while something is reserved for it', () => {
    mock.timers.tick(30_000);
    assert.equal(pings, 0);
    reserved = true;
    mock.timers.tick(30_000);
    assert.equal(pings, 2);
    presence.close();
    mock.timers.tick(30_000);
    assert.equal(pings, 2);
  });

  it('says so before something is reserved, unless it just has', () => {
    presence.renew();
    assert.equal(pings, 1);
    now += 5_000;
    presence.renew();
    assert.equal(pings, 1);
    now += 1;
    presence.renew();
    assert.equal(pings, 2);
  });
});
