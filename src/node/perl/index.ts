import common from './common.pl' with { type: 'text' };
import leases from './leases.pl' with { type: 'text' };
import logs from './logs.pl' with { type: 'text' };
import main from './main.pl' with { type: 'text' };
import relay from './relay.pl' with { type: 'text' };
import requests from './requests.pl' with { type: 'text' };
import session from './session.pl' with { type: 'text' };
import shell from './shell.pl' with { type: 'text' };
import sockets from './sockets.pl' with { type: 'text' };
import starter from './starter.pl' with { type: 'text' };
import state from './state.pl' with { type: 'text' };
import supervisor from './supervisor.pl' with { type: 'text' };
import tree from './tree.pl' with { type: 'text' };
import tries from './tries.pl' with { type: 'text' };
import walk from './walk.pl' with { type: 'text' };

/** The agent where the node has perl: its variables are known from where they are declared on, so the order counts. */
export default [
  common,
  relay,
  session,
  requests,
  state,
  supervisor,
  leases,
  tries,
  logs,
  shell,
  sockets,
  starter,
  tree,
  walk,
  main,
].join('');
