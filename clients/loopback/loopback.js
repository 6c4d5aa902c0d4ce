// Leads the hosts that a client has fixed to the service under test, and lets nothing else leave loopback.
//
// Node loads this before anything else. `SHEAF_HOSTS` are names, `SHEAF_PORT` is where they are.

"use strict";

const net = require("node:net");

const hosts = new Set((process.env.SHEAF_HOSTS ?? "").split(",").filter(Boolean));
const loopback = new Set(["localhost", "127.0.0.1", "::1"]);
const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function (...given) {
  // `net.connect` hands over its normalized list, others the options themselves.
  const options = Array.isArray(given[0]) ? given[0][0] : given[0];
  if (options !== null && typeof options === "object" && !options.path) {
    const host = options.host ?? "localhost";
    if (hosts.has(host)) {
      options.host = "127.0.0.1";
      options.port = Number(process.env.SHEAF_PORT);
    } else if (!loopback.has(host)) {
      throw new Error(`a client wants to leave loopback: ${host}`);
    }
  }
  return connect.apply(this, given);
};
