// A Node replica for the interop tests, with clients of its own. It obeys commands
// on stdin, one JSON object a line, and answers each with {"id", "result"} or
// {"id", "error"} on stdout.
//
//   node peer.js '{"kind": "classic", "where": {"port": 6379}, "library": "redis", "opts": {}, "server": {}}'
//
// In values {"$bin": hex} stands for a Buffer and {"$date": ms} for a Date.
"use strict";
const readline = require("readline");
const { need, redisClient, makeServer, connectClient } = require("./cluster.js");

function revive(v) {
  if (Array.isArray(v)) return v.map(revive);
  if (v && typeof v === "object") {
    if ("$bin" in v) return Buffer.from(v.$bin, "hex");
    if ("$date" in v) return new Date(v.$date);
    return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, revive(x)]));
  }
  return v;
}

function plain(v) {
  if (Buffer.isBuffer(v) || v instanceof ArrayBuffer || v instanceof Uint8Array) return { $bin: Buffer.from(v).toString("hex") };
  if (v instanceof Date) return v.toISOString();
  if (Array.isArray(v)) return v.map(plain);
  if (v && typeof v === "object") return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)]));
  return v;
}

class Queue {
  constructor() {
    this.items = [];
    this.waiters = [];
  }
  push(item) {
    const w = this.waiters.shift();
    if (w) w(item);
    else this.items.push(item);
  }
  shift(ms) {
    if (this.items.length) return Promise.resolve(this.items.shift());
    return new Promise((resolve, reject) => {
      const w = (item) => (clearTimeout(timer), resolve(item));
      const timer = setTimeout(() => {
        this.waiters.splice(this.waiters.indexOf(w), 1);
        reject(new Error("nothing came"));
      }, ms);
      this.waiters.push(w);
    });
  }
}

const clients = [];
const serverSide = new Queue();
let io, emitter;

function target(nsp, c) {
  let op = nsp;
  for (const room of c.to || []) op = op.to(room);
  for (const room of c.except || []) op = op.except(room);
  if (c.volatile) op = op.volatile;
  if (c.local) op = op.local;
  if (c.compress !== undefined) op = op.compress(c.compress);
  if (c.timeout) op = op.timeout(c.timeout);
  return op;
}

const details = (s) => ({ id: s.id, rooms: [...s.rooms].sort(), data: s.data, query: s.handshake.query.q, auth: s.handshake.auth });

const commands = {
  async connect({ nsp, auth }) {
    const received = new Queue();
    const c = connectClient(io.url + nsp, { forceNew: true, reconnection: false, transports: ["websocket"], auth, query: { q: "é" } });
    clients.push({ c, received });
    c.onAny((name, ...args) => {
      const ack = typeof args.at(-1) === "function" ? args.pop() : undefined;
      received.push({ name, args: plain(args) });
      if (ack && name !== "silent") ack(name === "askbin" ? Buffer.from([1, 2, 3]) : "answer of " + args[0], "ignored");
    });
    c.on("disconnect", (reason) => received.push({ name: "disconnect", args: [reason] }));
    await new Promise((resolve, reject) => (c.on("connect", resolve), c.on("connect_error", reject)));
    return { client: clients.length - 1, sid: c.id, recovered: !!c.recovered, pid: c._pid };
  },
  next: ({ client }) => clients[client].received.shift(8000),
  drop: ({ client }) => (clients[client].c.io.engine.close(), clients[client].c._lastOffset),
  join: ({ nsp, sid, rooms }) => io.of(nsp).sockets.get(sid).join(rooms),
  data: ({ nsp, sid, data }) => void Object.assign(io.of(nsp).sockets.get(sid).data, data),
  emit: (c) => void target(source(c.nsp), c).emit(...revive(c.args)),
  unicast: ({ nsp, sid, args }) => void io.of(nsp).sockets.get(sid).emit(...revive(args)),
  emitWithAck: async (c) => plain((await target(io.of(c.nsp), c).emitWithAck(...revive(c.args))).sort()),
  fetchSockets: async (c) => (await target(io.of(c.nsp), c).fetchSockets()).map(details).sort((a, b) => (a.id < b.id ? -1 : 1)),
  remoteEmitWithAck: async (c) => plain(await (await target(io.of(c.nsp), c).fetchSockets())[0].timeout(4000).emitWithAck(...revive(c.args))),
  socketsJoin: (c) => void target(source(c.nsp), c).socketsJoin(c.rooms),
  socketsLeave: (c) => void target(source(c.nsp), c).socketsLeave(c.rooms),
  disconnectSockets: (c) => void target(source(c.nsp), c).disconnectSockets(c.close),
  serverSideEmit: (c) => void source(c.nsp).serverSideEmit(...revive(c.args)),
  serverSideEmitWithAck: async (c) => plain((await io.of(c.nsp).serverSideEmitWithAck(...revive(c.args))).sort()),
  nextServerSide: () => serverSide.shift(8000),
  serverCount: ({ nsp }) => io.of(nsp).adapter.serverCount(),
  allRooms: async ({ nsp }) => [...(await io.of(nsp).adapter.allRooms())].sort(),
  remoteDisconnect: ({ nsp, sid, close }) => io.of(nsp).adapter.remoteDisconnect(sid, close),
};

// source is the server's namespace, or the emitter if that is all we are.
const source = (nsp) => (emitter ? emitter.of(nsp) : io.of(nsp));

async function main() {
  const config = JSON.parse(process.argv[2]);
  if (config.kind === "emitter") {
    const { Emitter } = need("@socket.io/redis-emitter");
    emitter = new Emitter(await redisClient(config.where, config.library), config.opts);
  } else {
    const made = await makeServer(config);
    io = made.io;
    io.url = made.url;
    for (const name of config.namespaces || ["/", "/chat"]) {
      const nsp = io.of(name);
      const heard = (name) => (...args) => {
        const ack = typeof args.at(-1) === "function" ? args.pop() : undefined;
        serverSide.push({ name, args: plain(args) });
        if (ack) ack(name === "hibin" ? { b: Buffer.from([9, 8]) } : "hello from node");
      };
      for (const event of ["hi", "hibin"]) nsp.on(event, heard(event));
    }
  }
  const answer = (o) => process.stdout.write(JSON.stringify(o) + "\n");
  answer({ id: 0, result: "ready" });
  readline.createInterface({ input: process.stdin }).on("line", async (line) => {
    const c = JSON.parse(line);
    try {
      answer({ id: c.id, result: (await commands[c.cmd](c)) ?? null });
    } catch (e) {
      answer({ id: c.id, error: String(e.message || e) });
    }
  }).on("close", () => process.exit(0));
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
