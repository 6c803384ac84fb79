// Administrators on every server of a cluster: node drive.cjs BASE…, the last one Node's.
const { io } = require("socket.io-client");
const bases = process.argv.slice(2);
const limit = 20000;

const fail = (what) => { throw new Error(what); };
const within = (promise, what) =>
  Promise.race([promise, new Promise((_, no) => setTimeout(() => no(new Error(`waited for ${what}`)), limit).unref())]);
const open = [];
function connect(url, options) {
  const socket = io(url, { forceNew: true, reconnection: false, ...options });
  open.push(socket);
  return socket;
}
async function client(base, transports) {
  const socket = connect(base, { transports });
  await within(new Promise((yes, no) => { socket.once("connect", yes); socket.once("connect_error", no); }), `a client of ${base}`);
  return socket;
}

// administrator keeps what a page would, by the same events.
async function administrator(base, auth) {
  const socket = connect(`${base}/admin`, { auth, withCredentials: true });
  const seen = { socket, servers: {}, sockets: new Map(), events: [], waiting: [] };
  const check = () => { seen.waiting = seen.waiting.filter((w) => !w()); };
  seen.until = (what, test) => within(new Promise((yes) => { seen.waiting.push(() => { const v = test(); if (v) yes(v); return v; }); check(); }), `${what} at ${base}`);
  const key = (nsp, id) => `${nsp}#${id}`;
  const on = (event, fn) => socket.on(event, (...args) => { fn(...args); check(); });
  on("session", (id) => { seen.session = id; });
  on("config", (c) => { seen.features = c.supportedFeatures; });
  on("server_stats", (s) => { seen.servers[s.serverId] = s; });
  on("all_sockets", (all) => { seen.sockets.clear(); for (const s of all) seen.sockets.set(key(s.nsp, s.id), s); seen.filled = true; });
  on("socket_connected", (s) => seen.sockets.set(key(s.nsp, s.id), s));
  on("socket_updated", (s) => Object.assign(seen.sockets.get(key(s.nsp, s.id)) ?? {}, s));
  on("socket_disconnected", (nsp, id) => seen.sockets.delete(key(nsp, id)));
  on("room_joined", (nsp, room, id) => { const s = seen.sockets.get(key(nsp, id)); if (s && !s.rooms.includes(room)) s.rooms.push(room); });
  on("room_left", (nsp, room, id) => { const s = seen.sockets.get(key(nsp, id)); if (s) s.rooms = s.rooms.filter((r) => r !== room); });
  on("event_received", (nsp, id, args, at) => seen.events.push({ nsp, id, args, at }));
  await within(new Promise((yes, no) => { socket.once("connect", yes); socket.once("connect_error", no); }), `the administrator of ${base}`);
  await seen.until("the list", () => seen.filled);
  return seen;
}

async function main() {
  const clients = [];
  for (const [i, base] of bases.entries()) clients.push(await client(base, i === 0 ? ["polling"] : ["websocket"]));
  const known = (a, s) => a.sockets.get(`/#${s.id}`);

  // A session of one node counts on all, in both directions.
  const password = { username: "admin", password: "changeit" };
  const first = await administrator(bases[0], password);
  if (!first.session) fail("no session");
  const admins = [first];
  for (const base of bases.slice(1)) admins.push(await administrator(base, { sessionId: first.session }));
  const nodes = await administrator(bases.at(-1), password);
  await administrator(bases[0], { sessionId: nodes.session });
  for (const base of bases) {
    const refusal = await new Promise((yes) => connect(`${base}/admin`, { auth: { username: "admin", password: "wrong" } }).once("connect_error", yes));
    if (refusal.message !== "invalid credentials") fail(`${base} refuses with ${refusal.message}`);
  }

  // Everybody sees all servers and all sockets.
  for (const [i, a] of admins.entries()) {
    if (!a.features.includes("ALL_EVENTS")) fail(`features ${a.features}`);
    await a.until("the servers", () => Object.keys(a.servers).length === bases.length);
    for (const [j, c] of clients.entries()) {
      const s = known(a, c) ?? fail(`the list of ${bases[i]} lacks the socket of ${bases[j]}`);
      if (typeof s.clientId !== "string" || s.clientId.length !== 12) fail(`clientId ${s.clientId} of ${bases[j]} at ${bases[i]}`);
      if (s.transport !== (j === 0 ? "polling" : "websocket")) fail(`transport ${s.transport} of ${bases[j]} at ${bases[i]}`);
      if (s.data._admin || s.handshake.auth) fail(`secrets of ${bases[j]} at ${bases[i]}`);
      new Date(s.handshake.issued).toISOString();
      const shape = (o) => JSON.stringify(Object.entries(o).map(([k, v]) => `${k}: ${Array.isArray(v) ? "array" : typeof v}`).sort());
      const last = known(a, clients.at(-1)); // Node's, where there is one
      if (shape(s) !== shape(last) || shape(s.handshake) !== shape(last.handshake)) fail(`the socket of ${bases[j]} is ${JSON.stringify(s)}, that of ${bases.at(-1)} ${JSON.stringify(last)}`);
    }
  }

  // Everybody hears of a socket of every node, and commands it.
  for (const a of admins) {
    for (const base of bases) {
      const c = await client(base, ["websocket"]);
      const gone = new Promise((yes) => c.once("disconnect", yes));
      await a.until(`the new socket of ${base}`, () => known(a, c)?.rooms.includes(c.id));
      a.socket.emit("join", "/", "room1", c.id);
      await a.until("the room", () => known(a, c)?.rooms.includes("room1"));
      a.socket.emit("leave", "/", "room1", c.id);
      await a.until("no room", () => !known(a, c)?.rooms.includes("room1"));
      const said = new Promise((yes) => c.once("hello", yes));
      a.socket.emit("emit", "/", c.id, "hello", "world");
      if (await within(said, "hello") !== "world") fail("not hello world");
      c.emit("rtt", { a: 1 }, () => {});
      const e = await a.until("the event", () => a.events.find((e) => e.id === c.id && e.args[0] === "rtt"));
      if (JSON.stringify(e.args) !== '["rtt",{"a":1}]' || !(Date.parse(e.at) > 0)) fail(`event ${JSON.stringify(e)}`);
      a.socket.emit("_disconnect", "/", false, c.id);
      const reason = await within(gone, "the disconnection");
      if (reason !== "io server disconnect") fail(`reason ${reason}`);
      await a.until("its end", () => !known(a, c));
    }
  }
  for (const s of open) s.close();
  console.log("ok");
}
main().catch((e) => { console.error(e); process.exit(1); });
