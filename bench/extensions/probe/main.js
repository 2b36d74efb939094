// Comes before all others into the extension host. Measures how long the code of the watched ones takes to be loaded and
// to activate, and tells that and the memory of the extension host to whoever connects to its socket.
const fs = require('node:fs');
const Module = require('node:module');
const net = require('node:net');
const path = require('node:path');
const { performance } = require('node:perf_hooks');
const v8 = require('node:v8');
const vm = require('node:vm');

const watched = process.env.CQ_BENCH_WATCHED.split(path.delimiter);
/** By the folder of the extension: ms of its own code, and ms of those that this thread was on a CPU. */
const activations = {};
const load = Module._load;

/** @returns {{ms: number, cpuMs: number}} what has passed since `begin` */
function passed(begin) {
  const { user, system } = process.threadCpuUsage(begin.cpu);
  return { ms: performance.now() - begin.at, cpuMs: (user + system) / 1000 };
}
const begin = () => ({ at: performance.now(), cpu: process.threadCpuUsage() });

Module._load = function (request, ...others) {
  const began = begin();
  const loaded = load.call(this, request, ...others);
  const folder = path.isAbsolute(request) && watched.find((dir) => isMainOf(request, dir));
  if (!folder) return loaded;
  const loading = passed(began);
  return {
    ...loaded,
    activate(context) {
      const called = begin();
      const result = loaded.activate(context);
      const activating = passed(called);
      activations[folder] = {
        ms: loading.ms + activating.ms,
        cpuMs: loading.cpuMs + activating.cpuMs,
        loadMs: loading.ms,
      };
      return result;
    },
  };
};

/** Extensions are linked into a folder of VS Code's; their main files are known by where they are in truth. */
function isMainOf(file, dir) {
  const { main } = JSON.parse(fs.readFileSync(path.join(dir, 'package.json'), 'utf8'));
  return fs.realpathSync(file) === fs.realpathSync(path.join(dir, main));
}

module.exports.activate = () => {
  v8.setFlagsFromString('--expose-gc');
  const collectGarbage = vm.runInNewContext('gc');
  const server = net.createServer((socket) => {
    collectGarbage();
    const { rss, heapUsed, external } = process.memoryUsage();
    socket.end(JSON.stringify({ activations, memory: { resident: rss, heap: heapUsed + external } }));
  });
  server.listen(process.env.CQ_BENCH_SOCKET);
};
