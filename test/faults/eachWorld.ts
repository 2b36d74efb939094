import path from 'node:path';
import { World } from '../support/world';
import { Ledger } from './ledger';

/** Gives each test of the suite that is being defined a world and a ledger of its own; the world closes after it. */
export function eachWorld(take: (world: World, ledger: Ledger) => void): void {
  let world: World;
  beforeEach(() => {
    world = new World();
    take(world, new Ledger(path.join(world.home, 'ledger')));
  });
  afterEach(() => world.close());
}
