// Takes the place of @vscode/spdlog in VS Code's server, whose native half needs a compiler to install.
// Without it every output channel stays blank. Names are assigned one by one, because the server is an
// ES module and Node finds a CommonJS module's names only when written so.
const fs = require('node:fs');
const path = require('node:path');

const levels = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'];

class Logger {
  constructor(kind, name, file) {
    this.file = file;
    this.level = 2;
    this.bare = false;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.closeSync(fs.openSync(file, 'a'));
  }
  log(level, message) {
    if (level < this.level) return;
    const time = new Date().toISOString().replace('T', ' ').replace('Z', '');
    fs.appendFileSync(this.file, this.bare ? message : `${time} [${levels[level]}] ${message}\n`);
  }
  trace(message) {
    this.log(0, message);
  }
  debug(message) {
    this.log(1, message);
  }
  info(message) {
    this.log(2, message);
  }
  warn(message) {
    this.log(3, message);
  }
  error(message) {
    this.log(4, message);
  }
  critical(message) {
    this.log(5, message);
  }
  getLevel() {
    return this.level;
  }
  setLevel(level) {
    this.level = level;
  }
  clearFormatters() {
    this.bare = true;
  }
  setPattern() {}
  flush() {}
  drop() {}
}

module.exports.version = 1;
module.exports.setLevel = () => {};
module.exports.setFlushOn = () => {};
module.exports.Logger = Logger;
module.exports.createRotatingLogger = async (name, file) => new Logger('rotating', name, file);
module.exports.createAsyncRotatingLogger = async (name, file) => new Logger('rotating_async', name, file);
