import { createHash } from 'node:crypto';
import agent from './agent.sh';
import boot from './boot.sh';
import containers from './containers.sh';
import head from './head.sh';
import logs from './logs.sh';
import common from './perl/common.pl' with { type: 'text' };
import main from './perl/main.pl' with { type: 'text' };
import relay from './perl/relay.pl' with { type: 'text' };
import session from './perl/session.pl' with { type: 'text' };
import shell from './perl/shell.pl' with { type: 'text' };
import supervisor from './perl/supervisor.pl' with { type: 'text' };
import tree from './perl/tree.pl' with { type: 'text' };
import walk from './perl/walk.pl' with { type: 'text' };
import runner from './runner.sh';
import sweep from './sweep.sh';

/** The agent script, and the name it has on nodes: a hash of its text, so that every version is its own file. */
export const AGENT_TEXT: string = [
  ...[head, runner, sweep, logs, containers, boot, agent],
  ...[common, relay, session, supervisor, shell, tree, walk, main],
].join('');
export const AGENT_ID: string = createHash('sha256').update(AGENT_TEXT).digest('hex').slice(0, 16);
