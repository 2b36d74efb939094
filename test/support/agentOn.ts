import assert from 'node:assert/strict';
import { AgentSession, SESSION_COMMAND } from '../../src/node';
import { SshTransport } from '../../src/transport';
import type { TestNodes } from './sshd';

/** The agent of a node, over a connection of its own. */
export async function agentOn(
  { configFile }: TestNodes,
  name: string,
): Promise<{ session: AgentSession; close: () => void }> {
  const transport = await SshTransport.connect(name, { configFile, prompter: undefined });
  const session = await AgentSession.open(await transport.exec(SESSION_COMMAND));
  return { session, close: () => transport.close() };
}

/** Waits until this is met. @throws when it is not after so many looks, 20 ms apart, with what there is instead */
export async function untilMet(
  met: () => boolean,
  most: number,
  instead: () => string = () => String(met),
): Promise<void> {
  for (let tries = 0; !met(); tries++) {
    if (tries >= most) assert.fail(`not after ${most} looks: ${instead()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
