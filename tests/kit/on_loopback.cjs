// Loaded by node before kinesis-local, which would listen on every address: it listens on free ports of 127.0.0.1 instead.
// The address of the plain one is the only line on stdout. It ends when stdin does.

const { Server } = require("node:net");

const PLAIN_PORT = 4568; // as kinesis-local knows it; the other one is for TLS
const listen = Server.prototype.listen;
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);

Server.prototype.listen = function (port, ...more) {
  this.once("listening", () => {
    if (port === PLAIN_PORT) write(`http://127.0.0.1:${this.address().port}\n`);
  });
  const then = more.filter((each) => typeof each === "function");
  return listen.call(this, 0, "127.0.0.1", ...then);
};

process.stdin.resume().on("end", () => process.kill(process.pid, "SIGKILL")); // in order, it would wait for connections that clients keep
