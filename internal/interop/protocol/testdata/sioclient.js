// The official Socket.IO client against the fixture of its own suite.
"use strict";
const { assert, check, run, sleep, request, fixture, once, urls, ID } = require("./harness");
const { io } = require("socket.io-client");
const base = urls.sioclient;

function client(leaving, path = "", options = {}) {
  const s = io(base + path, { forceNew: true, reconnectionDelay: 10, reconnectionDelayMax: 50, ...options });
  leaving(() => s.disconnect());
  return s;
}
// reply emits an event and waits for another.
async function reply(s, send, answer) {
  const got = once(s, answer);
  s.emit(...send);
  return (await got).filter((v) => typeof v !== "string" || !/^[\w-]{7}(\.\w+)?$/.test(v)); // offsets
}
const show = (v) => JSON.parse(JSON.stringify(v, (_, x) => (x && x.type === "Buffer" ? "bytes " + Buffer.from(x.data).toString("hex") : x)));

for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
  const o = { transports };
  const c = (name, fn) => check(`${transports.join("+")}: ${name}`, (leaving) => fn(client(leaving, "", o), leaving));
  c("hi", (s) => reply(s, ["hi"], "hi"));
  c("echo", async (s) => {
    const seen = [];
    for (const v of [null, 0, -1.5, "a", "", true, [1, [2]], { a: { b: [] } }, "é😀", Buffer.from([1, 2]), { x: Buffer.from([3]) }, undefined]) {
      seen.push(show(await s.emitWithAck("echo", v)));
    }
    return seen;
  });
  c("ack asked by the server", async (s) => {
    const done = once(s, "got it");
    s.on("ack", (cb) => cb(5, { test: true }));
    s.emit("ack");
    await done;
  });
  c("getAckDate", async (s) => {
    const d = await s.emitWithAck("getAckDate", { test: true });
    assert.match(d, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(Math.abs(new Date(d) - Date.now()) < 5000);
  });
  c("getDate", async (s) => assert.match((await reply(s, ["getDate"], "takeDate"))[0], /^\d{4}-.*Z$/));
  c("getDateObj", async (s) => assert.match((await reply(s, ["getDateObj"], "takeDateObj"))[0].date, /^\d{4}-.*Z$/));
  c("getUtf8", async (s) => {
    const got = [];
    const done = new Promise((ok) => s.on("takeUtf8", (t) => got.push(t) === 5 && ok()));
    s.emit("getUtf8");
    await done;
    assert.deepEqual(got, ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"]);
  });
  c("false", async (s) => assert.deepEqual(await reply(s, ["false"], "false"), [false]));
  c("doge", async (s) => assert.deepEqual((await reply(s, ["doge"], "doge"))[0], Buffer.from("asdfasdf")));
  c("getbin", async (s) => assert.deepEqual((await reply(s, ["getbin"], "takebin"))[0], Buffer.from("asdfasdf")));
  c("buffa", (s) => reply(s, ["buffa", Buffer.from("x")], "buffack"));
  c("jsonbuff", (s) => reply(s, ["jsonbuff", { hello: "lol", message: Buffer.from("x"), goodbye: "gotcha" }], "jsonbuff-ack"));
  c("abuff", (s) => {
    s.emit("abuff1", Buffer.from("x"));
    return reply(s, ["abuff2", "text"], "abuff2-ack");
  });
  c("blob", (s) => reply(s, ["blob", Buffer.from("x")], "back"));
  c("jsonblob", (s) => reply(s, ["jsonblob", { hello: "lol", message: Buffer.from("x"), goodbye: "gotcha" }], "jsonblob-ack"));
  c("blob3", (s) => {
    s.emit("blob1", Buffer.from("x"));
    s.emit("blob2", "second");
    return reply(s, ["blob3", Buffer.from("y")], "blob3-ack");
  });
  c("getId", async (s) => assert.equal(await s.emitWithAck("getId"), s.id));
  c("order of text and binary", async (s) => {
    const got = [];
    const done = new Promise((ok) => ["hi", "doge", "false"].forEach((e) => s.on(e, () => got.push(e) === 30 && ok())));
    await once(s, "connect");
    for (let i = 0; i < 10; i++) ["hi", "doge", "false"].forEach((e) => s.emit(e));
    await done;
    assert.deepEqual(got, Array.from({ length: 10 }, () => ["hi", "doge", "false"]).flat());
  });
}

check("wrong kinds of values are not answered", async (leaving) => {
  const s = client(leaving);
  const got = [];
  ["buffack", "jsonbuff-ack", "jsonblob-ack", "abuff2-ack", "back", "blob3-ack"].forEach((e) => s.on(e, () => got.push(e)));
  for (const e of ["buffa", "blob", "abuff1", "blob1", "blob3"]) s.emit(e, "text");
  s.emit("abuff2");
  s.emit("jsonbuff", { hello: "lol", message: "text", goodbye: "gotcha" });
  await s.emitWithAck("echo", 1);
  return got;
});
check("unknown events are not acknowledged", async (leaving) => {
  const s = client(leaving);
  const error = await s.timeout(100).emitWithAck("woot", 1).catch((e) => e);
  assert.equal(error.message, "operation has timed out");
  return s.timeout(2000).emitWithAck("echo", 42);
});
check("timeout of an existing namespace without handlers", async (leaving) => {
  const s = client(leaving, "/timeout_socket");
  return s.timeout(100).emitWithAck("echo", 42).catch((e) => e.message);
});
for (const [name, path, options] of [
  ["main namespace", "?fail=true", {}], ["main namespace, query option", "", { query: { fail: "1" } }],
  ["custom namespace", "/no", {}], ["unknown namespace", "/invalid", {}], ["unknown, beside no", "/nope", {}],
]) {
  check("connect_error: " + name, async (leaving) => {
    const s = client(leaving, path, options);
    const [e] = await once(s, "connect_error");
    assert.ok(e instanceof Error);
    return [e.message, e.data, s.active, s.connected];
  });
}
check("connect_error, then another namespace on the same connection", async (leaving) => {
  const s = client(leaving, "/no");
  await once(s, "connect_error");
  const other = s.io.socket("/foo");
  leaving(() => other.disconnect());
  assert.equal(await other.emitWithAck("getId"), other.id);
});
for (const n of ["/valid", "/asd", "/foo"]) {
  check("namespace " + n, async (leaving) => {
    const s = client(leaving, n);
    await once(s, "connect");
    assert.match(s.id, new RegExp(`^${ID}$`));
    assert.notEqual(s.id, s.io.engine.id);
  });
}
check("several namespaces on a connection", async (leaving) => {
  const s = client(leaving);
  const foo = s.io.socket("/foo");
  leaving(() => foo.disconnect());
  const ids = [await s.emitWithAck("getId"), await foo.emitWithAck("getId")];
  assert.deepEqual(ids, [s.id, foo.id]);
  foo.disconnect();
  await sleep(50); // both packets at once are a state error for Node
  foo.connect();
  const id = await foo.emitWithAck("getId");
  assert.equal(id, foo.id);
  assert.notEqual(id, ids[1]);
  assert.equal(await s.emitWithAck("getId"), ids[0]);
});
const sorted = (o) => Object.entries({ ...o, t: undefined }).sort();
const handshakeFacts = (h) => ({
  keys: Object.keys(h).sort(),
  types: Object.entries(h).map(([k, v]) => [k, Array.isArray(v) ? "array" : typeof v]).sort(),
  query: sorted(h.query),
  auth: h.auth, xdomain: h.xdomain, secure: h.secure, address: h.address.replace("::ffff:", ""),
  url: h.url.replace(/[?&]t=[^&]*/, ""), time: /^\w{3} \w{3} \d\d \d{4} \d\d:\d\d:\d\d GMT/.test(h.time),
  headers: Object.keys(h.headers).filter((k) => k !== "host").sort().map((k) => [k, typeof h.headers[k], h.headers[k]]).filter(([k]) => !/key/.test(k)),
});
for (const transports of [["polling"], ["websocket"]]) {
  check("handshake: query, auth and the rest, " + transports, async (leaving) => {
    const s = client(leaving, "/abc?b=%26c%26d%2Fe&n=1", { transports, auth: { a: "b", c: { d: [1] } }, extraHeaders: { "X-Test": "yes" } });
    const [h] = await once(s, "handshake");
    assert.equal(h.query.b, "&c&d/e");
    assert.equal(h.query.n, "1");
    assert.ok(Math.abs(h.issued - Date.now()) < 5000);
    return handshakeFacts(h);
  });
}
check("handshake: query object, special characters", async (leaving) => {
  const s = client(leaving, "/abc", { query: { "&a": "&=?a", e: "é😀 +%", n: 1, empty: "" } });
  const [h] = await once(s, "handshake");
  assert.equal(h.query["&a"], "&=?a");
  return sorted(h.query);
});
check("handshake: auth by callback", async (leaving) => {
  const s = client(leaving, "/abc", { auth: (cb) => setTimeout(cb, 10, { token: "abcd" }) });
  const [h] = await once(s, "handshake");
  assert.equal(h.auth.token, "abcd");
  return h.auth;
});
check("handshake: no auth", async (leaving) => (await once(client(leaving, "/abc"), "handshake"))[0].auth);
check("getHandshake", async (leaving) => {
  const s = client(leaving, "", { query: { key: "value" } });
  const h = await s.emitWithAck("getHandshake");
  assert.equal(h.query.key, "value");
  return handshakeFacts(h).keys;
});
check("cookie header reaches the handshake", async (leaving) => {
  const s = client(leaving, "", { extraHeaders: { Cookie: "a=1; b=2" } });
  return (await s.emitWithAck("getHandshake")).headers.cookie;
});

check("recovery: same id after the engine was lost", async (leaving) => {
  const s = client(leaving);
  await once(s, "connect");
  assert.equal(s.recovered, false);
  const id = s.id;
  const hi = once(s, "hi");
  s.emit("hi");
  await hi;
  const back = once(s, "connect");
  s.io.engine.close();
  await back;
  assert.equal(s.id, id);
  assert.equal(s.recovered, true);
  return s.timeout(2000).emitWithAck("echo", "alive");
});
check("recovery: not without an offset", async (leaving) => {
  const s = client(leaving);
  await once(s, "connect");
  const id = s.id;
  const back = once(s, "connect");
  s.io.engine.close();
  await back;
  return [s.id === id, s.recovered];
});
check("recovery: not after disconnect()", async (leaving) => {
  const s = client(leaving);
  await once(s, "connect");
  await reply(s, ["hi"], "hi");
  const id = s.id;
  const back = once(s, "connect");
  s.disconnect().connect();
  await back;
  return [s.id === id, s.recovered];
});
check("recovery: pid and offset on the wire", async (leaving) => {
  const s = client(leaving);
  const packets = [];
  s.io.on("open", () => s.io.engine.on("packet", (p) => p.type === "message" && packets.push(p.data)));
  const got = once(s, "hi");
  s.emit("hi");
  const args = await got;
  assert.equal(args.length, 1);
  assert.equal(typeof args[0], "string");
  await sleep(10);
  assert.match(packets.at(-1), /^2\["hi","[^"]+"\]$/);
});
check("retries: delivered once, in order", async (leaving) => {
  const s = client(leaving, "", { retries: 10, ackTimeout: 2000 });
  const got = [];
  const done = new Promise((ok) => {
    for (const v of [1, 2, 3]) s.emit("echo", v, (err, x) => got.push([err, x]) === 3 && ok());
  });
  await done;
  assert.deepEqual(got.map((g) => g[1]), [1, 2, 3]);
  return got;
});
check("retries: the same packet twice", async (leaving) => {
  const s = client(leaving, "", { retries: 1, ackTimeout: 100 });
  const out = [];
  await once(s, "connect");
  s.io.engine.on("packetCreate", (p) => p.type === "message" && out.push(p.data));
  const error = await new Promise((ok) => s.emit("woot", ok));
  assert.equal(error.message, "operation has timed out");
  return out;
});
check("volatile and buffered emits", async (leaving) => {
  const s = client(leaving);
  s.volatile.emit("hi");
  let hits = 0;
  s.on("hi", () => hits++);
  await s.emitWithAck("echo", 1);
  return hits;
});
check("reconnection after the server's view ended", async (leaving) => {
  const s = client(leaving);
  await once(s, "connect");
  const reason = once(s, "disconnect");
  s.io.engine.transport.close?.();
  const [why] = await reason;
  await once(s, "connect");
  return why;
});
check("disconnect from the client", async (leaving) => {
  const s = client(leaving);
  await once(s, "connect");
  const reason = once(s, "disconnect");
  s.disconnect();
  return (await reason)[0];
});
check("upgrade to websocket", async (leaving) => {
  const s = client(leaving);
  await once(s, "connect");
  if (s.io.engine.transport.name !== "websocket") await once(s.io.engine, "upgrade");
  assert.equal(await s.emitWithAck("echo", "x"), "x");
  return s.io.engine.transport.name;
});
check("a hundred emits across the upgrade", async (leaving) => {
  const s = client(leaving);
  await once(s, "connect");
  const got = await Promise.all(Array.from({ length: 100 }, async (_, i) => {
    await sleep(i);
    return s.emitWithAck("echo", i);
  }));
  assert.deepEqual(got, Array.from({ length: 100 }, (_, i) => i));
});
check("nothing listens on the suite's dead ports", async () => {
  for (const port of [9823, 3940, 3211]) {
    await assert.rejects(request(`http://127.0.0.1:${port}/`), { code: "ECONNREFUSED" });
  }
});
run();
