// Runs one client version through all checks and prints one JSON line for each:
//   node clients.js <folder with node_modules> <package> <urls as JSON> <transport> <parser>
"use strict";
const { createRequire } = require("module");
const path = require("path");

const [, , folder, pkg, urlsText, transport, parserName] = process.argv;
const req = createRequire(path.join(folder, "package.json"));
const io = req(pkg);
const version = require(path.join(folder, "node_modules", pkg, "package.json")).version;
const [major, minor] = version.split(".").map(Number);
const urls = JSON.parse(urlsText);
const transports = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] }[transport];
const base = urls[parserName];

const sockets = [];

function connect(url, extra = {}) {
  const opts = {
    transports,
    forceNew: true,
    reconnectionDelay: 20,
    reconnectionDelayMax: 50,
    randomizationFactor: 0,
    ...extra,
  };
  if (parserName === "msgpack") opts.parser = req("socket.io-msgpack-parser");
  const s = io(url, opts);
  sockets.push(s);
  return s;
}

let waiting = ""; // what the running check waits for, for the message of its timeout

// once waits for an event and returns its arguments.
function once(emitter, event) {
  waiting = event;
  return new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
}

// connected waits for a connection that may be there already.
async function connected(s) {
  if (!s.connected) await once(s, "connect");
}

function ack(s, event, ...args) {
  waiting = `the answer to ${event}`;
  return new Promise((resolve) => s.emit(event, ...args, (...answer) => resolve(answer)));
}

function equal(got, want) {
  const norm = (v) =>
    Buffer.isBuffer(v) || v instanceof Uint8Array
      ? "bin:" + Buffer.from(v).toString("hex")
      : v instanceof ArrayBuffer
      ? "bin:" + Buffer.from(v).toString("hex")
      : Array.isArray(v)
      ? v.map(norm)
      : v && typeof v === "object"
      ? Object.fromEntries(Object.keys(v).sort().map((k) => [k, norm(v[k])]))
      : v;
  const a = JSON.stringify(norm(got));
  const b = JSON.stringify(norm(want));
  if (a !== b) throw new Error(`got ${a}, want ${b}`);
}

const checks = {
  async connect() {
    const s = connect(base);
    await once(s, "connect");
    if (typeof s.id !== "string" || s.id.length !== 20) throw new Error(`id ${s.id}`);
    equal((await ack(s, "id"))[0], s.id);
    if (transport === "upgrade") {
      while (s.io.engine.transport.name !== "websocket") await once(s.io.engine, "upgrade");
      equal((await ack(s, "transport"))[0], "websocket");
    } else {
      equal((await ack(s, "transport"))[0], transport);
    }
  },

  async events() {
    const s = connect(base);
    const args = [1, -2.5, "é😀\u2028", true, null, [1, [2]], { a: { b: "c" } }];
    s.emit("echo-event", ...args); // buffered until connected
    equal(await once(s, "echo-event"), args);
  },

  async acks() {
    const s = connect(base);
    equal(await ack(s, "echo", 1, "two", { three: 3 }), [1, "two", { three: 3 }]);
    equal(await ack(s, "echo"), []);
    s.on("question", (n, reply) => reply(n + 1, "extra"));
    s.emit("ask", 41);
    equal(await once(s, "answered"), [42]);
  },

  async binary() {
    const s = connect(base);
    const args = [Buffer.from([1, 2, 3]), { deep: [Buffer.from([0, 255])] }, "text"];
    equal(await ack(s, "echo", ...args), args);
    s.emit("echo-event", ...args);
    equal(await once(s, "echo-event"), args);
    s.on("question", (n, reply) => reply(Buffer.from([n])));
    s.emit("ask-binary", 7);
    equal(await once(s, "answered"), [Buffer.from([7])]);
    const large = Buffer.alloc(100_000, 7);
    equal(await ack(s, "echo", large), [large]);
  },

  async namespaces() {
    const a = connect(base);
    await once(a, "connect");
    const b = a.io.socket("/chat"); // the same connection
    await connected(b);
    equal(await ack(b, "where"), ["/chat"]);
    equal(await ack(a, "where"), ["/"]);
    const c = connect(base + "/dynamic-7");
    equal(await ack(c, "where"), ["/dynamic-7"]);
    b.close();
    equal(await ack(a, "where"), ["/"]); // the others stay
  },

  async rooms() {
    const [a, b, c] = [connect(base), connect(base), connect(base)];
    const room = `room-${pkg}-${transport}-${parserName}`;
    await ack(a, "join", room);
    await ack(b, "join", room);
    await connected(c);
    c.on("said", () => { throw new Error("not in the room"); });
    const heard = [once(a, "said"), once(b, "said")];
    c.emit("say", room, "hello");
    equal(await Promise.all(heard), [["hello"], ["hello"]]);
  },

  async auth() {
    if (major === 2) {
      const s = connect(base + "/secret?token=let-me-in&x=1");
      await once(s, "connect");
      equal(await ack(s, "auth"), [{ token: "let-me-in", x: "1" }]);
      return;
    }
    const s = connect(base + "/secret", { auth: { token: "let-me-in", n: 1 } });
    await once(s, "connect");
    equal(await ack(s, "auth"), [{ token: "let-me-in", n: 1 }]);
    const late = connect(base + "/secret", { auth: (cb) => cb({ token: "let-me-in" }) });
    await once(late, "connect");
    const query = connect(base, { query: { q: "a b&c" } });
    equal(await ack(query, "query", "q"), ["a b&c"]);
  },

  async errors() {
    const refused = connect(base + "/secret");
    const unknown = connect(base + "/unknown");
    const event = major === 2 ? "error" : "connect_error";
    const [[err], [e2]] = await Promise.all([once(refused, event), once(unknown, event)]);
    if (major === 2) {
      equal([err, e2], [{ hint: "token" }, { message: "Invalid namespace" }]);
      return;
    }
    equal([err.message, err.data, e2.message], ["not authorized", { hint: "token" }, "Invalid namespace"]);
    refused.auth = { token: "let-me-in" };
    refused.connect(); // on the same connection
    await once(refused, "connect");
  },

  async disconnection() {
    const a = connect(base);
    await once(a, "connect");
    a.emit("kick", false);
    equal((await once(a, "disconnect"))[0], "io server disconnect");
    const b = connect(base);
    await once(b, "connect");
    b.emit("kick", true);
    equal((await once(b, "disconnect"))[0], "io server disconnect");
    const c = connect(base);
    await once(c, "connect");
    const told = `gone-${pkg}-${transport}-${parserName}-${Math.random()}`;
    const d = connect(base);
    await ack(d, "join", told);
    await ack(c, "tell-when-gone", told);
    c.disconnect();
    equal(await once(d, "gone"), ["client namespace disconnect"]);
  },

  async order() {
    const s = connect(base);
    const n = 200;
    const got = [];
    const done = new Promise((resolve) => s.on("echo-event", (i) => got.push(i) === n && resolve()));
    await once(s, "connect");
    for (let i = 0; i < n; i++) {
      s.emit("echo-event", i);
      if (i % 20 === 0) await new Promise((r) => setTimeout(r, 2)); // across the upgrade
    }
    await done;
    equal(got, [...Array(n).keys()]);
  },

  async reconnection() {
    const s = connect(base);
    await once(s, "connect");
    for (const loss of ["drop", "panic"]) {
      const first = s.id;
      s.emit(loss);
      const [reason] = await once(s, "disconnect");
      if (!/^transport (close|error)$/.test(reason)) throw new Error(`${loss}: ${reason}`);
      await once(s, "connect");
      if (s.id === first) throw new Error(`${loss}: same id`);
      equal(await ack(s, "echo", "again"), ["again"]);
    }
  },

  async recovery() {
    if (major < 4 || (major === 4 && minor < 6)) return "n/a";
    if (parserName !== "json") return "n/a";
    const s = connect(urls.recovery);
    const [text] = await once(s, "welcome");
    equal(text, "welcome");
    const id = s.id;
    if (s.recovered) throw new Error("recovered at first");
    const missed = [];
    s.on("missed", (n, bin) => missed.push([n, bin]));
    s.emit("drop-and-miss");
    await once(s, "disconnect");
    await once(s, "connect");
    if (!s.recovered || s.id !== id) throw new Error(`recovered ${s.recovered}, id ${s.id} after ${id}`);
    await ack(s, "ping");
    equal(missed, [[1, Buffer.from([1])], [2, Buffer.from([2])]]);

    // Without an event before, the client knows no offset.
    const quiet = connect(urls.recovery + "/chat");
    await once(quiet, "connect");
    const first = quiet.id;
    const late = [];
    quiet.on("missed", (n) => late.push(n));
    quiet.emit("drop-and-miss");
    await once(quiet, "disconnect");
    await once(quiet, "connect");
    if (!quiet.recovered || quiet.id !== first) throw new Error(`without offset: recovered ${quiet.recovered}`);
    await ack(quiet, "ping");
    equal(late, [1, 2]);

    // The client is back on another connection while the old one still stands.
    const old = connect(urls.recovery, { reconnection: false });
    await once(old, "welcome");
    const next = connect(urls.recovery, { autoConnect: false });
    next._pid = old._pid;
    next._lastOffset = old._lastOffset;
    const lost = once(old, "disconnect");
    const oldId = old.id;
    next.connect();
    await once(next, "connect");
    if (!next.recovered || next.id !== oldId) throw new Error(`taken over: recovered ${next.recovered}`);
    const [reason] = await lost;
    if (!/^transport (close|error)$/.test(reason)) throw new Error(reason);
    equal(await ack(next, "echo", 1), [1]);
  },

  async retries() {
    if (major < 4 || (major === 4 && minor < 6)) return "n/a";
    const s = connect(base, { retries: 3, ackTimeout: 60 });
    const answer = await new Promise((resolve, reject) =>
      s.emit("flaky", `${pkg}-${transport}-${parserName}`, (err, v) => (err ? reject(err) : resolve(v)))
    );
    equal(answer, "attempt 2");
  },

  async timeouts() {
    if (major < 4 || (major === 4 && minor < 4)) return "n/a";
    const s = connect(base);
    await once(s, "connect");
    const err = await new Promise((resolve) => s.timeout(30).emit("nobody listens", (e) => resolve(e)));
    if (!(err instanceof Error)) throw new Error("no timeout");
  },
};

function limit(promise, ms) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`timeout, waiting for ${waiting}`)), ms); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

process.on("uncaughtException", (err) => {
  console.log(JSON.stringify({ version, check: "uncaught", ok: false, error: String(err && err.stack) }));
  process.exit(1);
});

(async () => {
  for (const [name, run] of Object.entries(checks)) {
    const line = { version, check: name };
    try {
      const result = await limit(run(), 8000);
      line.ok = true;
      if (result === "n/a") line.skipped = true;
    } catch (err) {
      line.ok = false;
      line.error = String((err && err.message) || err);
    }
    console.log(JSON.stringify(line));
    for (const s of sockets.splice(0)) s.close();
  }
  process.exit(0);
})();
