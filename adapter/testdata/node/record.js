// Records what real Node processes say to Redis: for every operation, the
// commands that MONITOR sees, as JSON lines.
//
//   node record.js <kind> <redis port> <output> [adapter options as JSON] [server options as JSON]
//
// kind is classic, sharded, streams, old or emitter. Each line is
// {"step", "from": "A"|"B"|"E", "args": [...]}; an argument that is not plain
// ASCII text is written as "hex:…".
"use strict";
const fs = require("fs");
const net = require("net");
const { need, redisClient, makeServer, connectClient } = require("./cluster.js");

const [kind, port, output, adapterOptions, serverOptions] = process.argv.slice(2);
const where = { port: Number(port) };

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// monitor parses the MONITOR stream byte for byte.
class Monitor {
  constructor(port) {
    this.lines = [];
    this.last = Date.now();
    this.rest = "";
    this.socket = net.connect(port, "127.0.0.1");
    this.socket.on("data", (chunk) => {
      this.rest += chunk.toString("latin1");
      for (let i; (i = this.rest.indexOf("\r\n")) >= 0; this.rest = this.rest.slice(i + 2)) {
        this.add(this.rest.slice(0, i));
      }
    });
    this.socket.write("MONITOR\r\n");
  }
  add(line) {
    const m = /^\+[\d.]+ \[\d+ ([^\]]+)\] (.*)$/.exec(line);
    if (!m) return;
    this.last = Date.now();
    const args = [];
    for (const [, quoted] of m[2].matchAll(/"((?:[^"\\]|\\.)*)"/g)) {
      const raw = quoted.replace(/\\(x[0-9a-f]{2}|.)/g, (_, e) => {
        if (e[0] === "x" && e.length === 3) return String.fromCharCode(parseInt(e.slice(1), 16));
        return { n: "\n", r: "\r", t: "\t", a: "\x07", b: "\b" }[e] || e;
      });
      args.push(/^[\x20-\x7e]*$/.test(raw) ? raw : "hex:" + Buffer.from(raw, "latin1").toString("hex"));
    }
    this.lines.push({ addr: m[1], args });
  }
  async quiet(ms = 80) {
    await sleep(ms);
    while (Date.now() - this.last < ms) await sleep(10);
  }
  take() {
    return this.lines.splice(0);
  }
}

const out = fs.createWriteStream(output);
const monitor = new Monitor(where.port);
const owners = new Map(); // address → who
const skip = new Set(["quit", "hello", "client", "info", "select", "ready", "xread", "subscribe", "command"]);

async function flush(step) {
  await monitor.quiet();
  for (const { addr, args } of monitor.take()) {
    const cmd = args[0].toLowerCase();
    if (skip.has(cmd) && !(step === "start" && cmd === "subscribe")) continue;
    out.write(JSON.stringify({ step, from: owners.get(addr) || "?", args }) + "\n");
  }
}

async function learn(name) {
  // The clients that appeared since the last call belong to name.
  const admin = await redisClient(where);
  const list = await admin.sendCommand(["CLIENT", "LIST"]);
  for (const [, addr] of list.matchAll(/ addr=(\S+)/g)) {
    if (!owners.has(addr)) owners.set(addr, name);
  }
  await admin.quit();
}

async function client(url, nsp, opts) {
  const c = connectClient(url + nsp, { forceNew: true, reconnection: false, transports: ["websocket"], ...opts });
  c.on("ask", (...args) => args.at(-1)("answer of " + args[0], "ignored"));
  c.on("askbin", (...args) => args.at(-1)(Buffer.from([1, 2, 3])));
  await new Promise((resolve, reject) => (c.on("connect", resolve), c.on("connect_error", reject)));
  return c;
}

async function main() {
  await monitor.quiet(150);
  const options = adapterOptions ? JSON.parse(adapterOptions) : {};
  const server = serverOptions ? JSON.parse(serverOptions) : {};
  const base = kind === "emitter" ? "classic" : kind;
  const library = kind === "old" ? "redis3" : "redis";
  monitor.take();

  const A = await makeServer({ kind: base, where, library, opts: options, server });
  await learn("A");
  await flush("start");
  const B = await makeServer({ kind: base, where, library, opts: options, server });
  await learn("B");
  monitor.take();

  for (const [name, io] of [["A", A.io], ["B", B.io]]) {
    for (const nsp of [io.of("/"), io.of("/chat")]) {
      nsp.on("hi", (...args) => {
        const cb = args.at(-1);
        if (typeof cb === "function") cb("hello from " + name);
      });
      nsp.on("hibin", (...args) => args.at(-1)({ b: Buffer.from([9, 8]) }));
    }
  }
  const cb1 = await client(B.url, "/");
  const cb2 = await client(B.url, "/");
  const ca1 = await client(A.url, "/", { auth: { token: "t" } });
  await flush("connect");
  const sid = (c) => c.id;
  const local = (c) => B.io.sockets.sockets.get(c.id) || A.io.sockets.sockets.get(c.id);
  local(cb1).join(["room1", "room2"]);
  local(cb2).join(["room1"]);
  local(cb1).data.user = "bob";
  await flush("local join");

  const step = async (name, fn) => {
    try {
      await fn();
    } catch (e) {
      out.write(JSON.stringify({ step: name, error: String(e.message || e) }) + "\n");
    }
    await flush(name);
  };
  const date0 = new Date(1700000000000), date1 = new Date(1700000000123);

  if (kind === "emitter") {
    const pub = await redisClient(where);
    await learn("E");
    monitor.take();
    const { Emitter } = need("@socket.io/redis-emitter");
    const e = new Emitter(pub);
    await step("emit", () => e.emit("hello", 1, "2", { a: [true] }));
    await step("emit to one room", () => e.to("room1").emit("hello", "x"));
    await step("emit to rooms except volatile", () => e.to(["room1", "room2"]).except("room3").volatile.emit("hello", "x"));
    await step("emit compress", () => e.compress(false).emit("hello", "x"));
    await step("emit binary", () => e.emit("bin", Buffer.from([1, 2, 3])));
    await step("emit date", () => e.emit("date", date0, date1));
    await step("emit chat", () => e.of("chat").emit("hello", "x"));
    await step("socketsJoin", () => e.in("room1").socketsJoin("room9"));
    await step("socketsLeave", () => e.in("room1").except("room2").socketsLeave(["room9", "room8"]));
    await step("serverSideEmit", () => e.serverSideEmit("hi", "world", 1));
    await step("disconnectSockets", () => e.in("room1").disconnectSockets());
    await step("disconnectSockets close", () => e.disconnectSockets(true));
  } else {
    await step("emit", () => A.io.emit("hello", 1, "2", { a: [true] }));
    await step("emit to one room", () => A.io.to("room1").emit("hello", "x"));
    await step("emit to own room", () => A.io.to(sid(cb1)).emit("hello", "x"));
    await step("emit to rooms except", () => A.io.to(["room1", "room2"]).except("room3").emit("hello", "x"));
    await step("emit volatile compress", () => A.io.volatile.compress(false).emit("hello", "x"));
    await step("emit compress true", () => A.io.compress(true).emit("hello", "x"));
    await step("emit local", () => A.io.local.emit("hello", "x"));
    await step("emit binary", () => A.io.emit("bin", Buffer.from([1, 2, 3]), { deep: [Buffer.from("abc")] }));
    await step("emit date", () => A.io.emit("date", date0, date1));
    await step("emit numbers", () => A.io.emit("n", 0, 1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 9007199254740991,
      -1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -9007199254740991, 1.5, 0.1, 5e-324));
    // Integers of 2^64 and more lose bits in the reference.
    await step("emit huge numbers", () => A.io.emit("n", 1e21, 1e300));
    await step("emit values", () => A.io.emit("v", null, true, false, "", "ü€😀", [], {}, { x: undefined, y: null }, [undefined], "x".repeat(31), "x".repeat(32), "x".repeat(256)));
    await step("emit chat", () => A.io.of("/chat").emit("hello", "x"));
    await step("socket broadcast", () => local(ca1).broadcast.emit("hello", "x"));
    await step("socket to room", () => local(ca1).to("room1").emit("hello", "x"));
    if (kind !== "old") {
      await step("broadcast with ack", () => A.io.timeout(500).emitWithAck("ask", "q"));
      await step("broadcast with binary ack", () => A.io.to("room1").timeout(500).emitWithAck("askbin", "q"));
      await step("broadcast with ack nobody", () => A.io.to("nowhere").timeout(300).emitWithAck("ask", "q"));
    }
    await step("fetchSockets", () => A.io.fetchSockets());
    await step("fetchSockets in rooms", () => A.io.in(["room1", "room2"]).except("room3").fetchSockets());
    await step("fetchSockets local", () => A.io.local.fetchSockets());
    if (kind !== "old") {
      await step("remote socket emit", async () => {
        const list = await A.io.in(sid(cb1)).fetchSockets();
        list[0].emit("hello", "x");
        await list[0].timeout(500).emitWithAck("ask", "q");
      });
    }
    await step("socketsJoin", () => A.io.in("room1").socketsJoin("room9"));
    await step("socketsJoin many", () => A.io.in(["room1", "room2"]).except("room3").socketsJoin(["room8", "room7"]));
    await step("socketsLeave", () => A.io.socketsLeave("room9"));
    await step("socketsJoin local", () => A.io.local.socketsJoin("room6"));
    if (kind !== "old") {
      await step("serverSideEmit", () => A.io.serverSideEmit("hi", "world", 1));
      await step("serverSideEmit with ack", () => new Promise((resolve) => A.io.serverSideEmit("hi", "world", resolve)));
      await step("serverSideEmit binary with ack", () => new Promise((resolve) => A.io.serverSideEmit("hibin", Buffer.from([7]), resolve)));
      await step("serverCount", () => A.io.of("/").adapter.serverCount());
    }
    if (kind === "classic" || kind === "old") {
      await step("allRooms", () => A.io.of("/").adapter.allRooms());
    }
    if (kind === "old") {
      const adapter = A.io.of("/").adapter;
      await step("sockets", () => adapter.sockets(new Set(["room1"])));
      await step("sockets all", () => adapter.sockets(new Set()));
      await step("remoteJoin", () => adapter.remoteJoin(sid(cb1), "room5"));
      await step("remoteLeave", () => adapter.remoteLeave(sid(cb1), "room5"));
      await step("remoteDisconnect", () => adapter.remoteDisconnect(sid(cb2), true));
    }
    if (kind === "streams" && server.connectionStateRecovery) {
      const dropped = local(cb1);
      await step("unicast under recovery", () => local(ca1).emit("hello", "x"));
      await step("disconnect recoverably", () => cb1.io.engine.close());
      await step("missed while away", () => {
        A.io.to("room1").emit("missed", 1);
        A.io.to("elsewhere").emit("missed", 2);
        A.io.emit("missed", Buffer.from([1]));
      });
      const pid = dropped.pid;
      await step("restore", () => client(A.url, "/", { auth: { pid, offset: cb1._lastOffset } }));
    }
    await step("disconnectSockets", () => A.io.in("room1").disconnectSockets());
    await step("disconnectSockets close", () => A.io.disconnectSockets(true));
  }
  await step("close", () => A.io.of("/").adapter.close());
  await new Promise((resolve) => out.end(resolve));
  process.exit(0);
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
