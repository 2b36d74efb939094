import boot from './boot.sh';
import common from './common.sh';
import containers from './containers.sh';
import files from './files.sh';
import head from './head.sh';
import leases from './leases.sh';
import logs from './logs.sh';
import main from './main.sh';
import probe from './probe.sh';
import relay from './relay.sh';
import requests from './requests.sh';
import session from './session.sh';
import state from './state.sh';
import supervisor from './supervisor.sh';
import sweep from './sweep.sh';
import tree from './tree.sh';
import tries from './tries.sh';
import walk from './walk.sh';

/** The agent for every node: first what decides who does the work, last what is asked for, and functions between. */
export default [
  head,
  common,
  tree,
  leases,
  walk,
  supervisor,
  files,
  tries,
  logs,
  containers,
  state,
  requests,
  probe,
  sweep,
  boot,
  session,
  relay,
  main,
].join('');
