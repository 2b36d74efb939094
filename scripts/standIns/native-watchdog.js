// Takes the place of @vscode/native-watchdog in VS Code's server, whose native half needs a compiler to install.
// It would end an extension host that hangs after its server died; the host's own check each second covers the rest.
module.exports.start = () => {};
module.exports.exit = (code) => process.exit(code);
