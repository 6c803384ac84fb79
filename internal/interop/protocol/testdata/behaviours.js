// The behaviours of docs/conformance.md that can be seen from outside, by their numbers. What
// the fixtures of the public suites show already is in the other scripts, numbered too.
"use strict";
const zlib = require("node:zlib");
const { assert, check, run, sleep, request, brief, Polling, wire, refusal, raw, upgradeHead, fixture, once, urls, ID } = require("./harness");
const { io } = require("socket.io-client");
const RS = "\x1e";
const hooks = fixture("hooks", "/engine.io/");
let tags = 0;
const newTag = () => `${process.pid}-${tags++}`;
const logOf = async (server, tag) => JSON.parse((await request(`${urls[server]}/log?tag=${encodeURIComponent(tag)}`)).body);
async function logged(server, tag, wanted, limit = 3000) { // waits until the log ends with wanted
  for (const end = Date.now() + limit; ; await sleep(10)) {
    const l = await logOf(server, tag);
    if (l.includes(wanted) || Date.now() > end) return l;
  }
}
const openHooks = async (tag, more = "") => Polling.open(hooks, `EIO=4&tag=${tag}${more}`);
const wireHooks = (leaving, tag, more = "") => wire(leaving, `${hooks}?EIO=4&transport=websocket&tag=${tag}${more}`);
async function gather(p, n) {
  const got = [];
  while (got.length < n) got.push(...(await p.poll()).split(RS));
  return got;
}

// Engine.IO.
check("07 UTF-8 split over chunks", async () => {
  const p = await openHooks(newTag());
  const body = Buffer.from("4é😀€" + "て".repeat(200));
  const { pathname, search, host } = new URL(p.url);
  const parts = [`POST ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`];
  for (let i = 0; i < body.length; i += 97) parts.push(body.subarray(i, i + 97), 2);
  const chunked = [`POST ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`];
  for (const b of body.subarray(0, 61)) chunked.push(Buffer.concat([Buffer.from("1\r\n"), Buffer.from([b]), Buffer.from("\r\n")]));
  chunked.push("0\r\n\r\n");
  assert.match((await raw(hooks, parts)).data.toString(), /^HTTP\/1.1 200 /);
  await p.poll(body.toString());
  const whole = await raw(hooks, chunked);
  return [whole.data.toString().slice(0, 12), await p.poll()];
});
check("08 what the connection handler sends comes with the next poll", async () => {
  const p = await openHooks(newTag(), "&greet=1");
  assert.ok(!p.first.body.includes(RS), p.first.body);
  return p.poll("4greeting");
});
check("08 what the connection handler sends, websocket", async (leaving) => {
  const w = await wireHooks(leaving, newTag(), "&greet=1");
  assert.equal((await w.next())[0], "0");
  return w.next();
});
check("08 initialPacket comes with the open packet", async () => {
  const r = await request(fixture("initial", "/engine.io/") + "?EIO=4&transport=polling");
  assert.match(r.body, /^0\{.*\}\x1e4welcome$/s);
  return r.body;
});
check("08 initialPacket, websocket", async (leaving) => {
  const w = await wire(leaving, fixture("initial", "/engine.io/") + "?EIO=4&transport=websocket");
  return [await w.next(), await w.next()];
});
async function probe(leaving, p) {
  const w = await wire(leaving, `${p.url.replace("polling", "websocket")}`);
  w.send("2probe");
  await w.expect("3probe");
  return w;
}
check("09 noop for every GET of the probe window", async (leaving) => {
  const p = await openHooks(newTag());
  const w = await probe(leaving, p);
  const began = Date.now();
  const got = [await p.poll(), await p.poll()];
  assert.ok(Date.now() - began < 290, "two noops take 200 ms");
  w.send("5");
  return got;
});
check("09 messages across the upgrade: not lost, doubled or reordered", async (leaving) => {
  const p = await openHooks(newTag());
  const got = [];
  let w;
  const read = (async () => {
    for (;;) {
      const r = await p.get().catch(() => ({ status: 0 }));
      if (r.status !== 200) return;
      got.push(...r.body.split(RS).filter((m) => m[0] === "4"));
      if (w && r.body === "6") return; // the client stops polling now
    }
  })();
  for (let i = 0; i < 20; i++) await p.send("4" + i);
  w = await probe(leaving, p);
  await read;
  await p.send("420" + RS + "421");
  w.send("5");
  for (let i = 22; i < 40; i++) w.send("4" + i);
  while (got.length < 40) got.push(await w.next());
  assert.deepEqual(got, Array.from({ length: 40 }, (_, i) => "4" + i));
});
check("09 send callbacks across the upgrade", async (leaving) => {
  const tag = newTag();
  const p = await openHooks(tag);
  const w = await probe(leaving, p);
  await p.send("4callbacks");
  w.send("5");
  assert.deepEqual([await w.next(), await w.next(), await w.next()], ["4m1", "4m2", "4m3"]);
  return (await logged("hooks", tag, "sent m3")).filter((l) => l.startsWith("sent"));
});
check("11 upgrade timeout leaves polling alive", async (leaving) => {
  const tag = newTag();
  const p = await openHooks(tag);
  const w = await wire(leaving, p.url.replace("polling", "websocket"));
  const began = Date.now();
  const code = await w.closed;
  assert.ok(Date.now() - began >= 280);
  await p.send("4on");
  return [code, await p.poll()];
});
check("11 upgrade timeout after the probe", async (leaving) => {
  const p = await openHooks(newTag());
  const w = await probe(leaving, p);
  const code = await w.closed;
  await p.send("4on");
  return [code, await p.poll()];
});
check("11 timers of the upgrade do not outlive it", async (leaving) => {
  const p = await openHooks(newTag());
  const w = await probe(leaving, p);
  w.send("5");
  await sleep(450);
  w.send("4on");
  return w.next();
});
check("12 close waits for what is buffered, polling", async () => {
  const tag = newTag();
  const p = await openHooks(tag);
  await p.send("4close");
  const got = [];
  for (;;) {
    const r = await p.get();
    if (r.status !== 200) {
      got.push(brief(r));
      break;
    }
    got.push(...r.body.split(RS));
  }
  assert.deepEqual(got.filter((m) => m[0] === "4" && m.length === 2), ["4a", "4b", "4c"]);
  return [got, (await logged("hooks", tag, "closed forced close")).filter((l) => /^closed/.test(l))];
});
check("12 close waits for what is buffered, GET pending", async () => {
  const p = await openHooks(newTag());
  const pending = p.get();
  await sleep(30);
  await p.send("4close");
  const all = [(await pending).body];
  for (;;) {
    const r = await p.get();
    if (r.status !== 200) break;
    all.push(r.body);
  }
  const packets = all.join(RS).split(RS).filter((m) => m !== "6");
  assert.deepEqual(packets, ["4a", "4b", "4c", "1"]);
});
check("12 close waits for what is buffered, websocket", async (leaving) => {
  const tag = newTag();
  const w = await wireHooks(leaving, tag);
  await w.next();
  w.send("4close");
  const got = [await w.next(), await w.next(), await w.next(), await w.closed];
  assert.deepEqual(got.slice(0, 3), ["4a", "4b", "4c"]);
  return [got, w.queue, (await logged("hooks", tag, "closed forced close")).filter((l) => /^closed/.test(l))];
});
check("12 close(true) does not wait, polling", async () => {
  const tag = newTag();
  const p = await openHooks(tag);
  await p.send("4discard").catch(() => {}); // the answer may be lost with the session
  const r = await p.get();
  assert.equal(r.status, 400);
  return [brief(r), (await logged("hooks", tag, "closed forced close")).filter((l) => /^closed/.test(l))];
});
check("12 close during an upgrade loses nothing", async (leaving) => {
  const tag = newTag();
  const p = await openHooks(tag);
  const w = await probe(leaving, p);
  await p.send("4close");
  w.send("5");
  const got = [];
  for (let m; (m = await w.next().catch(() => null)); ) got.push(m);
  assert.deepEqual(got, ["4a", "4b", "4c"]);
  return [await w.closed, (await logged("hooks", tag, "closed forced close")).filter((l) => /^closed/.test(l))];
});
check("13 close while no GET waits: the next GET gets what is buffered and the close packet", async () => {
  const p = await openHooks(newTag());
  await p.send("4close");
  const got = [];
  let r;
  while ((r = await p.get()).status === 200) got.push(...r.body.split(RS).filter((m) => m !== "6"));
  assert.deepEqual(got, ["4a", "4b", "4c", "1"]);
  return brief(r);
});
for (const [name, how, reason] of [
  ["client's close packet", (p) => p.post("1"), "transport close"],
  ["poll connection dropped", async (p) => {
    const stop = new AbortController();
    const pending = p.get({ signal: stop.signal }).catch(() => {});
    await sleep(30);
    stop.abort();
    await pending;
  }, "transport error"],
  ["overlapping GETs", async (p) => {
    const one = p.get();
    await sleep(30);
    await p.get();
    await one;
  }, "transport error"],
  ["octet-stream", (p) => p.post("4", { headers: { "Content-Type": "application/octet-stream" } }), "transport error"],
  ["bad packet", (p) => p.post("x"), "parse error"],
  ["ping", (p) => p.post("2"), "transport error"],
]) {
  check("14 reason, polling: " + name, async () => {
    const tag = newTag();
    const p = await openHooks(tag);
    await how(p);
    const l = await logged("hooks", tag, "closed " + reason);
    assert.ok(l.includes("closed " + reason), l.join());
    return l.filter((x) => /^closed/.test(x));
  });
}
for (const [name, how, reason] of [
  ["closed by the client", (w) => w.ws.close(), "transport close"],
  ["connection lost", (w) => w.ws.terminate(), "transport close"],
  ["bad packet", (w) => w.send("x"), "parse error"],
  ["ping", (w) => w.send("2"), "transport error"],
  ["message above the limit", (w) => w.send("4" + "a".repeat(1000001)), "transport error"],
  ["close() of the server", (w) => w.send("4close"), "forced close"],
  ["close(true) of the server", (w) => w.send("4discard"), "forced close"],
]) {
  check("14 reason, websocket: " + name, async (leaving) => {
    const tag = newTag();
    const w = await wireHooks(leaving, tag);
    await w.next();
    how(w);
    const l = await logged("hooks", tag, "closed " + reason);
    assert.ok(l.includes("closed " + reason), l.join());
    return l.filter((x) => /^closed/.test(x));
  });
}
check("15 send callbacks in order, once each", async () => {
  const tag = newTag();
  const p = await openHooks(tag);
  await p.send("4callbacks");
  assert.deepEqual(await gather(p, 3), ["4m1", "4m2", "4m3"]);
  return (await logged("hooks", tag, "sent m3")).filter((l) => l.startsWith("sent"));
});
check("15 send callbacks are not called when nothing was sent", async () => {
  const tag = newTag();
  const p = await openHooks(tag);
  await p.send("4callbacks");
  await p.send("1");
  await logged("hooks", tag, "closed transport close");
  return (await logOf("hooks", tag)).filter((l) => l.startsWith("sent"));
});
check("17 allowRequest: its message, codes and contexts", async () => {
  const tag = newTag();
  const seen = [
    brief(await request(`${hooks}?EIO=4&transport=polling&tag=${tag}&refuse=not+today`)),
    await refusal(`${hooks}?EIO=4&transport=websocket&tag=${tag}&refuse=not+today`),
    brief(await request(`${hooks}?EIO=3&transport=polling&tag=${tag}`)),
    brief(await request(`${hooks}?EIO=4&transport=polling&sid=a&tag=${tag}&refuse=x`)),
    brief(await request(`${hooks}?EIO=4&transport=x&tag=${tag}`)),
    brief(await request(`${hooks}?EIO=4&transport=polling&tag=${tag}`, { method: "POST" })),
    brief(await request(`${hooks}?EIO=4&transport=websocket&tag=${tag}`)),
    brief(await request(`${hooks}?EIO=4&transport=polling&tag=${tag}&mw=fail`)),
    await refusal(`${hooks}?EIO=4&transport=websocket&tag=${tag}&mw=fail`),
    (await request(`${hooks}?EIO=4&transport=polling&tag=${tag}&mw=end`)).status,
  ];
  const p = await openHooks(tag);
  seen.push(brief(await request(p.url.replace("polling", "websocket"))));
  assert.equal(seen[0], '403 {"code":4,"message":"not today"}');
  assert.equal(seen[1], "400 not today");
  assert.equal(seen[2], '400 {"code":5,"message":"Unsupported protocol version"}');
  return [seen, await logOf("hooks", tag)];
});
for (const [name, origin] of [["control character", "https://a\x01b"], ["DEL", "https://a\x7fb"]]) {
  check("18 Origin with a " + name, async () => {
    const { host, pathname } = new URL(hooks);
    const r = await raw(hooks, `GET ${pathname}?EIO=4&transport=polling HTTP/1.1\r\nHost: ${host}\r\nOrigin: ${origin}\r\nConnection: close\r\n\r\n`);
    assert.match(r.data.toString(), /^HTTP\/1.1 400 /);
  });
}
check("19 initial_headers once, headers each time", async () => {
  const tag = newTag();
  const p = await openHooks(tag);
  await p.send("4a");
  const get = await p.get();
  const of = (r) => [r.headers["x-initial"], r.headers["x-each"]];
  const w = await request(p.url + "&bad", { method: "PUT" });
  const seen = [of(p.first), of(get), of(await p.post("4b")), of(w), (await logOf("hooks", tag)).filter((l) => l === "initial_headers")];
  assert.deepEqual([seen[0][0], seen[1][0], seen[4].length], ["1", undefined, 1]);
  return seen;
});
check("19 initial_headers on the 101, not on that of an upgrade", async (leaving) => {
  const tag = newTag();
  const w = await wireHooks(leaving, tag);
  const h = (await w.upgraded).headers;
  const p = await openHooks(newTag());
  const u = await wire(leaving, p.url.replace("polling", "websocket"));
  const g = (await u.upgraded).headers;
  assert.deepEqual([h["x-initial"], h["x-each"], g["x-initial"]], ["1", "1", undefined]);
  return [h["x-initial"], h["x-each"], h["set-cookie"], g["x-initial"], g["x-each"], (await logOf("hooks", tag))];
});
check("19 cookie on the polling handshake", async () => {
  const p = await openHooks(newTag());
  assert.equal(p.first.headers["set-cookie"][0], `io=${p.sid}; Path=/; HttpOnly; SameSite=Lax`);
  await p.send("4a");
  return (await p.get()).headers["set-cookie"];
});
const corsHeaders = (h) => Object.entries(h).filter(([k]) => /^(access|vary)/.test(k)).sort();
check("20 cors on errors, answers, preflights", async () => {
  const headers = { Origin: "https://app.example" };
  const p = await openHooks(newTag());
  const pre = await request(p.url, { method: "OPTIONS", headers: { ...headers, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-a, x-b" } });
  const list = [await request(hooks + "?EIO=4&transport=x", { headers }), await p.post("4a", { headers }), await p.get({ headers }), pre,
    await request(hooks + "?EIO=4&transport=polling", { headers })];
  return list.map((r) => [r.status, corsHeaders(r.headers), r.status === 204 ? r.headers["content-length"] : 0]);
});
check("20 cors on the 101", async (leaving) => {
  const w = await wireHooks(leaving, newTag(), "");
  const { headers } = await w.upgraded;
  assert.equal(headers["access-control-allow-origin"], "https://app.example");
  return corsHeaders(headers);
});
check("20 origin that cors does not name", async () => {
  const headers = { Origin: "https://evil.example" };
  const ws = refusal(hooks + "?EIO=4&transport=websocket", { headers });
  return [(await request(hooks + "?EIO=4&transport=polling", { headers })).status, await Promise.race([ws, sleep(1000).then(() => "open")])];
});
async function compressed(message, acceptEncoding) {
  const p = await openHooks(newTag());
  await p.send("4" + message);
  const r = await p.get({ headers: { "Accept-Encoding": acceptEncoding } });
  const enc = r.headers["content-encoding"];
  const open = { gzip: zlib.gunzipSync, deflate: zlib.inflateSync, br: zlib.brotliDecompressSync }[enc];
  const body = open ? open(r.raw) : r.raw;
  return [enc, body.length, body.toString().slice(0, 3)];
}
for (const [message, accept, wanted] of [
  ["big", "gzip, deflate", "gzip"], ["big", "deflate, gzip", "deflate"], ["big", "gzip;q=0.1, deflate;q=0.5", "deflate"], ["big", "*", "gzip"],
  ["big", "br", undefined], ["big", "gzip;q=0", undefined], ["big", "identity", undefined], ["short", "gzip", undefined], ["big, uncompressed", "gzip", undefined],
]) {
  check(`21 compression of ${message} for ${accept}`, async () => {
    const r = await compressed(message, accept);
    if (r[0] !== "br" || accept !== "br") assert.equal(r[0], wanted); // brotli, where a server has it, is right too
    return r;
  });
}
check("21 permessage-deflate only where it is on", async (leaving) => {
  const seen = [];
  for (const server of ["deflate", "hooks"]) {
    const w = await wire(leaving, fixture(server, "/engine.io/") + "?EIO=4&transport=websocket&tag=d", { perMessageDeflate: true });
    await w.next();
    w.send("4" + "b".repeat(500));
    assert.equal((await w.next()).length, 501);
    w.send("4big");
    assert.equal((await w.next()).length, 3001);
    seen.push(/permessage-deflate/.test(w.ws.extensions));
  }
  assert.deepEqual(seen, [true, false]);
});
check("22 upgrades lists what is enabled", async () => {
  const p = await Polling.open(fixture("noupgrade", "/engine.io/"));
  assert.deepEqual(p.handshake.upgrades, []);
  return [p.first.body, await refusal(fixture("noupgrade", "/engine.io/") + "?EIO=4&transport=websocket")];
});
const jsonp = fixture("jsonp", "/engine.io/");
check("23 JSONP both ways", async () => {
  const first = await request(jsonp + "?EIO=3&transport=polling&j=12a");
  const sid = /\\"sid\\":\\"([\w-]{20,})/.exec(first.body)[1];
  const url = `${jsonp}?EIO=3&transport=polling&j=2&sid=${sid}`;
  const post = (d) => request(url, { method: "POST", headers: { "Content-Type": "application/x-www-form-urlencoded" }, body: "d=" + encodeURIComponent(d) });
  const seen = [[first.headers["content-type"], first.body]];
  for (const d of ["6:4a\\\nb\"", "3:4\u2028\u2029", "5:4</s>", "4:4\\\\nx"]) {
    const r = await post(d);
    seen.push([brief(r), r.headers["content-type"]]);
    const g = await request(url);
    seen.push([g.status, g.headers["content-type"], g.headers["x-content-type-options"], g.body]);
    if (g.status !== 200) break;
  }
  return seen;
});
check("23 JSONP for revision 4", async () => {
  const first = await request(jsonp + "?EIO=4&transport=polling&j=7");
  return [first.status, first.body];
});

// Socket.IO.
const sio = fixture("sio", "/socket.io/");
async function joined(leaving, auth = "", server = "sio") {
  const w = await wire(leaving, fixture(server, "/socket.io/") + "?EIO=4&transport=websocket");
  await w.next();
  w.send("40" + auth);
  w.answer = await w.next();
  await w.expect('42["welcome"]');
  w.sid = JSON.parse(w.answer.slice(2)).sid;
  return w;
}
const tagged = (tag) => JSON.stringify({ tag });
async function ask(w, id, ...event) {
  w.send(`42${id}${JSON.stringify(event)}`);
  await w.next().then((m) => (w.last = m));
  return w.last;
}
function client(leaving, nsp = "/", options = {}, server = "sio") {
  const s = io(urls[server] + nsp, { forceNew: true, reconnectionDelay: 10, reconnectionDelayMax: 50, ...options });
  leaving(() => s.disconnect());
  s.got = [];
  s.onAny((...a) => a[0] !== "welcome" && s.got.push(a));
  return s;
}
check("26 CONNECT is answered before the handler emits", async (leaving) => {
  const w = await joined(leaving);
  assert.match(w.answer, /^40\{"sid"/);
});
check("26 a socket in a middleware is not reached", async (leaving) => {
  const w = await joined(leaving);
  w.send("40/late,");
  assert.equal(await ask(w, 1, "waiting"), "431[true]");
  w.send('422["to",[],[],"all"]');
  const got = [await w.next(), await w.next(), await w.next()].sort();
  return got.map((m) => m.replace(/\/late,.*/, "/late"));
});
check("27 EVENT before CONNECT, double CONNECT, foreign namespace", async (leaving) => {
  const seen = [];
  for (const m of [['42["join",[]]'], ["40", "40"], ["40", '42/late,["a"]']]) {
    const w = await wire(leaving, sio + "?EIO=4&transport=websocket");
    await w.next();
    for (const x of m) {
      w.send(x);
      await sleep(60);
    }
    seen.push(await w.closed);
  }
  return seen;
});
check("28 middleware answers after the client left", async (leaving) => {
  const tag = newTag();
  const s = client(leaving);
  await once(s, "connect");
  const w = await wire(leaving, sio + "?EIO=4&transport=websocket");
  await w.next();
  w.send(`40/late,${tagged(tag)}`);
  for (const end = Date.now() + 2000; !(await s.emitWithAck("waiting")) && Date.now() < end; );
  w.ws.terminate();
  for (const end = Date.now() + 2000; (await s.emitWithAck("waiting")) && Date.now() < end; ) await sleep(10);
  assert.equal(await s.emitWithAck("waiting"), false);
  await sleep(200);
  return logOf("sio", tag);
}, 12000);
check("28 middleware refuses late: error with data, nothing left", async (leaving) => {
  const s = client(leaving, "/late", { auth: { fail: true } });
  const [e] = await once(s, "connect_error");
  assert.deepEqual([e.message, e.data], ["no", { a: 1 }]);
});
check("28 refusal with data on the wire", async (leaving) => {
  const w = await wire(leaving, sio + "?EIO=4&transport=websocket");
  await w.next();
  w.send("40/refuse");
  const answer = await w.next();
  assert.deepEqual(JSON.parse(answer.replace("44/refuse,", "")), { message: "refused", data: { code: 7 } });
  return answer;
});
check("29 volatile: polling without GET drops both, the regular one arrives", async () => {
  const p = await Polling.open(sio);
  await p.send("40");
  await gather(p, 2);
  await p.send('42["volatile"]');
  return gather(p, 1);
});
check("29 volatile: polling with a GET, only the first arrives", async () => {
  const p = await Polling.open(sio);
  await p.send("40");
  await gather(p, 2);
  const pending = p.get();
  await sleep(30);
  await p.send('42["volatile"]');
  const got = (await pending).body.split(RS);
  if (got.length < 2) got.push(...(await gather(p, 1)));
  assert.deepEqual(got, ['42["v",1]', '42["r"]']);
});
check("29 volatile: websocket, the first and the regular one arrive", async (leaving) => {
  const w = await joined(leaving);
  w.send('42["volatile"]');
  const got = [];
  for (let m; (m = await w.next()) !== '42["r"]'; ) got.push(m);
  assert.equal(got[0], '42["v",1]'); // the second one, if the first is written already
});
check("29 volatile binary: never half a packet", async () => {
  const p = await Polling.open(sio);
  await p.send("40");
  await gather(p, 2);
  await p.send('42["volatile binary"]');
  const got = await gather(p, 2);
  assert.deepEqual(got, ['451-["r",{"_placeholder":true,"num":0}]', "bBQ=="]);
});
check("29 volatile binary: websocket", async (leaving) => {
  const w = await joined(leaving);
  w.send('42["volatile binary"]');
  const got = [];
  for (let m; (m = await w.next()) && !String(m).startsWith('451-["r"'); ) got.push(m);
  assert.equal(got.length % 3, 0);
  assert.deepEqual(got[1], Buffer.from([1]));
  assert.deepEqual(await w.next(), Buffer.from([5]));
});
check("30 binary packets from many goroutines stay whole", async (leaving) => {
  const w = await joined(leaving);
  w.send('42["storm"]');
  const seen = new Set();
  for (let m; (m = await w.next()) !== '42["done"]'; ) {
    const [, i] = /^452-\["bin",(\d+),/.exec(m);
    assert.deepEqual([await w.next(), await w.next()], [Buffer.from([i, 0]), Buffer.from([i, 1])]);
    seen.add(i);
  }
  assert.equal(seen.size, 40);
});
check("30 binary packets from many goroutines stay whole, polling", async () => {
  const p = await Polling.open(sio);
  await p.send("40");
  await gather(p, 2);
  await p.send('42["storm"]');
  const got = await gather(p, 121);
  for (let at = 0; at < 120; at += 3) {
    const [, i] = /^452-\["bin",(\d+),/.exec(got[at]);
    assert.deepEqual(got.slice(at + 1, at + 3), [0, 1].map((n) => "b" + Buffer.from([i, n]).toString("base64")));
  }
});
check("31 events of a socket are handled in order", async (leaving) => {
  const w = await joined(leaving);
  for (let i = 0; i < 10; i++) w.send(`42["slow",${i}]`);
  const got = [];
  while (got.length < 10) got.push(await w.next());
  assert.deepEqual(got, Array.from({ length: 10 }, (_, i) => `42["slow",${i}]`));
});
check("31 nothing is dispatched after the disconnect", async (leaving) => {
  const tag = newTag();
  const w = await joined(leaving, tagged(tag));
  w.send('42["kick",false]');
  return [await w.next(), await logged("sio", tag, "disconnect server namespace disconnect 0")];
});
check("32 disconnecting sees rooms, disconnect does not; joining afterwards does nothing", async (leaving) => {
  const tag = newTag();
  const w = await joined(leaving, tagged(tag));
  await ask(w, 0, "join", ["a", "b"]);
  w.ws.close();
  const l = await logged("sio", tag, "disconnect transport close 0");
  assert.deepEqual(l, ["disconnecting transport close 2", "disconnect transport close 0"]);
  const other = await joined(leaving);
  return ask(other, 0, "fetch", "after");
});
for (const [name, how, reason] of [
  ["41", (w) => w.send("41"), "client namespace disconnect"], ["ws close", (w) => w.ws.close(), "transport close"], ["kick", (w) => w.send('42["kick",false]'), "server namespace disconnect"],
  ["kick all", (w) => w.send('42["kick",true]'), "server namespace disconnect"], ["decode error", (w) => w.send("4x"), "forced close"],
  ["bad engine packet", (w) => w.send("x"), "parse error"], ["state error", (w) => w.send("40"), "forced close"],
]) {
  check("32 reason: " + name, async (leaving) => {
    const tag = newTag();
    const w = await joined(leaving, tagged(tag));
    how(w);
    return logged("sio", tag, `disconnect ${reason} 0`);
  });
}
check("32 emits after the disconnect go nowhere", async (leaving) => {
  const w = await joined(leaving, tagged("nobody"));
  w.send('42["kick",false]');
  await w.expect("41");
  w.send("40");
  return [await w.next(), await w.next()];
});
check("33 an ack is sent once", async (leaving) => {
  const w = await joined(leaving);
  assert.equal(await ask(w, 7, "ack twice"), "437[1]");
  return ask(w, 8, "fetch", "nobody");
});
check("33 late binary ack", async (leaving) => {
  const w = await joined(leaving);
  return [await ask(w, 9, "ack late"), [...(await w.next())]];
});
check("33 ack asked with a timeout: answer, no answer, late answer", async (leaving) => {
  const w = await joined(leaving);
  const seen = [];
  w.send('42["ask me"]');
  const [, id] = /^42(\d+)\["question"\]$/.exec(await w.next());
  w.send(`43${id}["fine"]`);
  seen.push(await w.next());
  w.send(`43${id}["again"]`);
  w.send('42["ask me"]');
  const [, late] = /^42(\d+)\["question"\]$/.exec(await w.next());
  assert.ok(Number(late) > Number(id));
  seen.push(await w.next());
  w.send(`43${late}["late"]`);
  seen.push(await ask(w, 0, "join", []));
  assert.deepEqual(seen, ['42["asked",null,"fine"]', '42["asked","operation has timed out"]', "430[[]]"]);
});
check("34 broadcast ack: nobody, all, some", async (leaving) => {
  const room = newTag();
  const one = client(leaving), two = client(leaving), asker = client(leaving);
  const seen = [await asker.emitWithAck("ask room", room)];
  for (const [s, v] of [[one, 1], [two, 2]]) {
    await s.emitWithAck("join", [room]);
    s.on("question", (cb) => cb(v, "ignored"));
  }
  const sorted = ([err, list]) => [err, list.sort()];
  const answer = (r) => new Promise((ok) => asker.emit("ask room", r, (...a) => ok(a)));
  seen.push(sorted(await answer(room)));
  two.off("question");
  seen.push(sorted(await answer(room)));
  assert.deepEqual(seen.slice(1), [[false, [1, 2]], [true, [1]]]);
  return seen.slice(1);
});
check("35 io.to(a) reused does not gather rooms", async (leaving) => {
  const [a, b] = [newTag(), newTag()];
  const inA = client(leaving), inB = client(leaving);
  await inA.emitWithAck("join", [a]);
  await inB.emitWithAck("join", [b]);
  await inA.emitWithAck("reuse", a, b);
  await inA.emitWithAck("join", []);
  await inB.emitWithAck("join", []);
  assert.deepEqual(inA.got, [["hit", "both"], ["hit", "first"]]);
  assert.deepEqual(inB.got, [["hit", "both"]]);
});
check("36 except by room and by sid, no duplicates", async (leaving) => {
  const [a, b, no] = [newTag(), newTag(), newTag()];
  const both = client(leaving), not = client(leaving), byId = client(leaving);
  await both.emitWithAck("join", [a, b]);
  await not.emitWithAck("join", [a, no]);
  await byId.emitWithAck("join", [b]);
  await both.emitWithAck("to", [a, b], [no, byId.id], "x");
  await both.emitWithAck("to", [byId.id, not.id], [not.id], "sid");
  for (const s of [both, not, byId]) await s.emitWithAck("join", []);
  assert.deepEqual([both.got, not.got, byId.got], [[["hit", "x"]], [], [["hit", "sid"]]]);
  await not.emitWithAck("leave", a);
  assert.deepEqual(await not.emitWithAck("join", []), [no]);
});
check("36 broadcast reaches everybody else", async (leaving) => {
  const one = client(leaving), two = client(leaving);
  await two.emitWithAck("join", []);
  await one.emitWithAck("others");
  await two.emitWithAck("join", []);
  return [one.got.filter((g) => g[1] === "others").length, two.got.filter((g) => g[1] === "others").length > 0];
});
check("37 concurrent CONNECTs of a new name make one child, and it comes again", async (leaving) => {
  const name = "/dyn-" + newTag().replace("-", "_");
  const all = Array.from({ length: 8 }, () => client(leaving, name));
  await Promise.all(all.map((s) => once(s, "in")));
  assert.deepEqual(await logOf("sio", name), ["new"]);
  all.forEach((s) => s.disconnect());
  await sleep(150);
  const again = client(leaving, name);
  await once(again, "in");
  assert.deepEqual(await logOf("sio", name), ["new", "new"]);
});
check("37 a name that fits no pattern", async (leaving) => {
  const [e] = await once(client(leaving, "/dyn-*"), "connect_error");
  return e.message;
});
check("38 recovery: missed packets, then CONNECT; same sid, rooms; not volatile, with binary", async (leaving) => {
  const room = newTag();
  const w = await wire(leaving, fixture("recovery", "/socket.io/") + "?EIO=4&transport=websocket");
  await w.next();
  w.send("40");
  const { sid, pid } = JSON.parse((await w.next()).slice(2));
  assert.match(pid, new RegExp(`^${ID}$`));
  await w.next(); // welcome
  w.send(`420["join",["${room}"]]`);
  await w.expect(`430[["${room}"]]`);
  w.send('42["flush"]');
  const offset = JSON.parse((await w.next()).slice(2)).at(-1);
  const other = client(leaving, "/", {}, "recovery");
  await once(other, "connect");
  w.ws.terminate();
  await sleep(60);
  await other.emitWithAck("to", [room], [], "one");
  await other.emitWithAck("to", [room], [], Buffer.from([7])).catch(() => {});
  await other.emitWithAck("to", ["elsewhere"], [], "foreign");
  await other.emitWithAck("to", [room], [], "two");
  const v = await wire(leaving, fixture("recovery", "/socket.io/") + "?EIO=4&transport=websocket");
  await v.next();
  v.send("40" + JSON.stringify({ pid, offset }));
  const got = [];
  for (let m; ; ) {
    m = await v.next();
    got.push(Buffer.isBuffer(m) ? [...m] : m.replace(/"[\w-]{7}(\.\w+)?"\]$/, "offset]"));
    if (String(m).startsWith("40")) {
      assert.deepEqual(JSON.parse(m.slice(2)), { sid, pid });
      break;
    }
  }
  assert.deepEqual(got.slice(0, 4), ['42["hit","one",offset]', '451-["hit",{"_placeholder":true,"num":0},offset]', [7], '42["hit","two",offset]']);
  v.send('420["join",[]]');
  for (let m; (m = await v.next()); ) if (m.startsWith("430")) return [got, m.replace(room, "room")];
});
for (const [name, auth] of [["unknown pid", { pid: "x".repeat(20), offset: "y" }], ["no offset", { pid: "x".repeat(20) }], ["numbers", { pid: 1, offset: 2 }], ["null", { pid: null, offset: null }]]) {
  check("38 recovery, not with: " + name, async (leaving) => {
    const w = await wire(leaving, fixture("recovery", "/socket.io/") + "?EIO=4&transport=websocket");
    await w.next();
    w.send("40" + JSON.stringify(auth));
    return [await w.next(), (await w.next()).replace(/"[\w-]{7}(\.\w+)?"\]$/, "offset]")];
  });
}
check("38 offsets: not on acknowledged and volatile events", async (leaving) => {
  const w = await wire(leaving, fixture("recovery", "/socket.io/") + "?EIO=4&transport=websocket");
  await w.next();
  w.send("40");
  await w.next();
  await w.next();
  w.send('42["ask me"]');
  const seen = [(await w.next()).replace(/^42\d+/, "42N")];
  w.send('42["volatile"]');
  for (let m; (m = await w.next()); ) {
    if (m.startsWith('42["asked"')) continue;
    if (m !== '42["v",2]') seen.push(m.replace(/"[\w-]{7}(\.\w+)?"\]$/, "offset]"));
    if (m.startsWith('42["r"')) return seen;
  }
});
check("39 disconnect(true): 41 for every namespace, then the connection", async (leaving) => {
  const w = await joined(leaving);
  w.send("40/dyn-" + newTag().replace("-", "_"));
  await w.next();
  await w.next();
  w.send('42["kick",true]');
  const got = [await w.next(), await w.next()].map((m) => m.replace(/dyn-\w+/, "dyn"));
  return [got.sort(), await w.closed];
});
check("39 disconnect(true) over polling: 41, then 1, then 400", async () => {
  const p = await Polling.open(sio);
  await p.send("40");
  await gather(p, 2);
  await p.send('42["kick",true]');
  const seen = [];
  for (let r; (r = await p.get()).status === 200; ) seen.push(...r.body.split(RS));
  return seen.filter((m) => m !== "6");
});
check("39 disconnect(false) leaves the connection", async (leaving) => {
  const w = await joined(leaving);
  w.send('42["kick",false]');
  await w.expect("41");
  w.send("40");
  return [await w.next(), await w.next()];
});

// Revision 3 clients above Socket.IO (docs/protocol.md §2.2).
const v2 = fixture("siov2", "/socket.io/") + "?EIO=3&transport=websocket";
async function openV2(leaving, query = "") {
  const w = await wire(leaving, v2 + query);
  w.open = JSON.parse((await w.next()).slice(1));
  await w.expect("40");
  await w.expect('42["welcome"]');
  return w;
}
check("v2: implicit connect, errors, queries of namespaces", async (leaving) => {
  const w = await openV2(leaving);
  const seen = [];
  for (const m of ["40/refuse", "40/nope,", "40/dyn-v2_" + newTag().replace("-", "_") + "?token=abc&x=1,", '420["join",["r"]]', "2"]) {
    w.send(m);
    const got = await w.next();
    seen.push(got.replace(/dyn-\w+/, "dyn"));
    if (got.startsWith("40/dyn")) seen.push((await w.next()).replace(/dyn-\w+/g, "dyn"));
  }
  return seen;
});
check("v2: explicit CONNECT to / closes", async (leaving) => {
  const w = await openV2(leaving);
  w.send("40");
  return w.closed;
});
check("v2: polling", async () => {
  const p = await Polling.open(fixture("siov2", "/socket.io/"), "EIO=3");
  let all = p.first.body.slice(p.first.body.indexOf("}") + 1);
  while (!all.includes("welcome")) all += await p.poll();
  assert.equal(all, '2:4013:42["welcome"]');
});
check("v2: binary event and ack", async (leaving) => {
  const w = await openV2(leaving);
  w.send('42["storm"]');
  const first = await w.next();
  const got = [await w.next(), await w.next()];
  assert.match(first, /^452-\["bin",\d+,/);
  assert.ok(got.every((b) => b[0] === 4 && b.length === 3));
  w.send('420["ack late"]');
  for (let m; (m = await w.next()); ) if (String(m).startsWith("46")) return [m, [...(await w.next())]];
});
run();
