// `node --require` this for what runs from node_modules: what ships has no compiled parts, and ssh2 has its own for ciphers
// where npm could build it. They are faster, and hand on other memory, than what anybody has who installed the extension.
const Module = require('node:module');

const load = Module._load;

Module._load = function (request, ...others) {
  if (request.endsWith('/sshcrypto.node')) throw new Error('not shipped');
  return load.call(this, request, ...others);
};
