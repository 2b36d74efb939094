// What ships has no compiled parts: ssh2 has its own for ciphers where npm could build it, which makes a bulk of data
// faster than it is for anybody who has installed the extension.
const Module = require('node:module');

const load = Module._load;

Module._load = function (request, ...others) {
  if (request.endsWith('/sshcrypto.node')) throw new Error('not shipped');
  return load.call(this, request, ...others);
};
