// A Node server with the official instrument(): node server.cjs PORT REDIS HASH
const { Server } = require("socket.io");
const { createAdapter } = require("@socket.io/redis-adapter");
const { instrument, RedisStore } = require("@socket.io/admin-ui");
const { createServer } = require("node:http");
const Redis = require("ioredis");

const [port, redis, hash] = process.argv.slice(2);
const pub = new Redis(`redis://${redis}`);
const http = createServer((req, res) => res.end("ready"));
const io = new Server(http, { adapter: createAdapter(pub, pub.duplicate()) });
instrument(io, {
  auth: { type: "basic", username: "admin", password: hash },
  store: new RedisStore(pub.duplicate()),
  serverId: "node",
  mode: "development",
});
io.on("connection", (socket) => socket.onAny((...args) => typeof args.at(-1) === "function" && args.at(-1)()));
http.listen(Number(port), "127.0.0.1");
