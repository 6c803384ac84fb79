// The official Engine.IO client against the fixture of its own suite.
"use strict";
const { assert, check, run, sleep, request, brief, Polling, wire, refusal, fixture, once, urls } = require("./harness");
const { Socket } = require("engine.io-client");
const base = fixture("eioclient", "/engine.io/");

function client(leaving, options = {}, query = "") {
  const s = new Socket(urls.eioclient + query, options);
  s.on("error", () => {});
  leaving(() => s.close());
  s.messages = [];
  s.takers = [];
  s.on("message", (m) => {
    const t = s.takers.shift();
    if (t) t(m);
    else s.messages.push(m);
  });
  s.message = () => (s.messages.length ? Promise.resolve(s.messages.shift()) : new Promise((ok) => s.takers.push(ok)));
  return s;
}

for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
  const c = (name, fn) => check(`${transports.join("+")}: ${name}`, (leaving) => fn(client(leaving, { transports }), leaving));
  c("open, hi", async (s) => {
    assert.equal(await s.message(), "hi");
    return [s.transport.name === transports[0] || s.transport.name === "websocket", s.protocol ?? 4];
  });
  c("echo of text", async (s) => {
    await s.message();
    for (const t of ["a", "é😀", "\u0000\u001f", "x".repeat(60)]) {
      s.send(t);
      assert.equal(await s.message(), t);
    }
  });
  c("echo of binary", async (s) => {
    await s.message();
    for (const t of [Buffer.from([0, 1, 255]), Buffer.alloc(0), Buffer.alloc(50, 30)]) {
      s.send(t);
      assert.deepEqual(await s.message(), t);
    }
  });
  c("give binary", async (s) => {
    await s.message();
    s.send("give binary");
    assert.deepEqual(await s.message(), Buffer.from([0, 1, 2, 3, 4]));
  });
  c("give utf8", async (s) => {
    await s.message();
    s.send("give utf8");
    assert.equal(await s.message(), "пойду спать всем спокойной ночи");
  });
  c("send callbacks, drain", async (s) => {
    await once(s, "open");
    let n = 0;
    s.send("a", () => n++);
    s.send("b", () => n++);
    await once(s, "drain");
    await sleep(20);
    return n;
  });
  c("close of the client", async (s) => {
    await once(s, "open");
    const closed = once(s, "close");
    s.close();
    return (await closed)[0];
  });
  c("heartbeat keeps it open", async (s) => {
    await s.message();
    await sleep(1200);
    s.send("on");
    assert.equal(await s.message(), "on");
    return s.readyState;
  });
}
check("upgrade", async (leaving) => {
  const s = client(leaving);
  await s.message();
  if (s.transport.name !== "websocket") await once(s, "upgrade");
  s.send("x");
  assert.equal(await s.message(), "x");
  return s.transport.name;
});
check("messages across the upgrade keep their order", async (leaving) => {
  const s = client(leaving);
  await s.message();
  const wanted = Array.from({ length: 60 }, (_, i) => "m" + i);
  for (const m of wanted) {
    s.send(m);
    await sleep(1);
  }
  for (const m of wanted) assert.equal(await s.message(), m);
});
check("transport close seen by the client", async (leaving) => {
  const s = client(leaving, { transports: ["websocket"] });
  await s.message();
  const closed = once(s, "close");
  s.send("x".repeat(200)); // above maxHttpBufferSize
  const [reason, description] = await closed;
  return [reason, description && description.context && description.context.code];
});
check("413 above maxHttpBufferSize, seen by the client", async (leaving) => {
  const s = client(leaving, { transports: ["polling"] });
  await s.message();
  const closed = once(s, "close");
  s.send("x".repeat(200));
  const [reason, description] = await closed;
  return [reason, description && description.description, description && description.context && description.context.status];
});
check("payloads are split at maxPayload", async (leaving) => {
  const s = client(leaving, { transports: ["polling"] });
  await s.message();
  const wanted = Array.from({ length: 10 }, (_, i) => String(i).repeat(40));
  wanted.forEach((m) => s.send(m));
  for (const m of wanted) assert.equal(await s.message(), m);
});
check("limit of 100: POST", async () => {
  const p = await Polling.open(base);
  assert.equal(p.handshake.maxPayload, 100);
  const seen = [brief(await p.post("4" + "a".repeat(99))), await p.poll(), brief(await p.post("4" + "a".repeat(100)))];
  assert.equal(seen[0], "200 ok");
  assert.match(seen[2], /^413/);
  return seen;
});
check("limit of 100: websocket", async (leaving) => {
  const w = await wire(leaving, base + "?EIO=4&transport=websocket");
  await w.next();
  await w.expect("4hi");
  w.send("4" + "a".repeat(99));
  assert.equal((await w.next()).length, 100);
  w.send("4" + "a".repeat(100));
  assert.equal(await w.closed, 1009);
});
check("limit of 100: binary websocket", async (leaving) => {
  const w = await wire(leaving, base + "?EIO=4&transport=websocket");
  await w.next();
  await w.next();
  w.send(Buffer.alloc(100));
  assert.equal((await w.next()).length, 100);
  w.send(Buffer.alloc(101));
  assert.equal(await w.closed, 1009);
});
check("limit of 100: first message in the probe", async (leaving) => {
  const p = await Polling.open(base);
  const w = await wire(leaving, `${base}?EIO=4&transport=websocket&sid=${p.sid}`);
  w.send("2probe");
  await w.expect("3probe");
  w.send("4" + "a".repeat(200));
  const code = await w.closed;
  await p.poll("4hi");
  await p.send("4still");
  return [code, await p.poll()];
});
for (const q of ["deny", "deny=1", "deny="]) {
  check("deny polling: " + q, async () => {
    const r = await request(`${base}?EIO=4&transport=polling&${q}`);
    assert.equal(r.status, 403);
    assert.deepEqual(JSON.parse(r.body), { code: 4, message: "Forbidden" });
    return brief(r);
  });
  check("deny websocket: " + q, async () => {
    const r = await refusal(`${base}?EIO=4&transport=websocket&${q}`);
    assert.equal(r, "400 Forbidden");
    return r;
  });
}
check("deny is not asked about upgrades", async (leaving) => {
  const p = await Polling.open(base);
  const w = await wire(leaving, `${base}?EIO=4&transport=websocket&sid=${p.sid}&deny=1`);
  w.send("2probe");
  return w.next();
});
check("deny seen by the client", async (leaving) => {
  const s = client(leaving, { transports: ["polling"] }, "/?deny=1");
  const [e] = await once(s, "error");
  return [e.message, e.type, e.description, e.context && e.context.responseText];
});
check("deny seen by the client, websocket", async (leaving) => {
  const s = client(leaving, { transports: ["websocket"] }, "/?deny=1");
  const [e] = await once(s, "error");
  return [e.message, e.type];
});
check("sendHeaders", async (leaving) => {
  const s = client(leaving, { transports: ["polling"], extraHeaders: { "X-Custom": "My Value", Authorization: "x" } });
  await s.message();
  s.send("sendHeaders");
  const h = JSON.parse(await s.message());
  assert.equal(h["x-custom"], "My Value");
  assert.ok(!("cookie" in h));
  assert.deepEqual(Object.keys(h), Object.keys(h).map((k) => k.toLowerCase()));
  return Object.entries(h).filter(([k]) => k !== "host").sort();
});
check("sendHeaders: the cookies of the handshake come back", async (leaving) => {
  const s = client(leaving, { transports: ["polling"], withCredentials: true });
  await s.message();
  s.send("sendHeaders");
  const h = JSON.parse(await s.message());
  assert.equal(h.cookie, "1=1; 2=2");
  return h.cookie;
});
check("initial headers: four cookies, on the handshake only", async () => {
  const p = await Polling.open(base);
  const cookies = p.first.headers["set-cookie"];
  assert.equal(cookies.length, 4);
  const get = await p.get(), post = await p.post("4x");
  return [cookies.map((c) => c.replace(/Expires=.*/, "Expires")), get.headers["set-cookie"], post.headers["set-cookie"]];
});
check("initial headers: websocket", async (leaving) => {
  const w = await wire(leaving, base + "?EIO=4&transport=websocket");
  const res = await w.upgraded;
  return res.headers["set-cookie"].map((c) => c.replace(/Expires=.*/, "Expires"));
});
check("initial headers: not on an upgrade", async (leaving) => {
  const p = await Polling.open(base);
  const w = await wire(leaving, `${base}?EIO=4&transport=websocket&sid=${p.sid}`);
  return (await w.upgraded).headers["set-cookie"];
});
check("no cors headers", async () => {
  const r = await request(base + "?EIO=4&transport=polling");
  const pre = await request(base + "?EIO=4&transport=polling", { method: "OPTIONS" });
  return [Object.keys(r.headers).filter((k) => /^(access|vary)/.test(k)), brief(pre)];
});
check("a second client, forceBase64", async (leaving) => {
  const s = client(leaving, { forceBase64: true, transports: ["polling"] });
  await s.message();
  s.send(Buffer.from([1, 2]));
  assert.deepEqual(await s.message(), Buffer.from([1, 2]));
});
check("a websocket client with base64", async (leaving) => {
  const s = client(leaving, { forceBase64: true, transports: ["websocket"] });
  await s.message();
  s.send(Buffer.from([1, 2]));
  assert.deepEqual(await s.message(), Buffer.from([1, 2]));
});
check("tryAllTransports", async (leaving) => {
  const s = client(leaving, { transports: ["websocket", "polling"], tryAllTransports: true });
  return s.message();
});
check("wrong path", async (leaving) => {
  const s = client(leaving, { transports: ["polling"], path: "/nowhere" });
  const [e] = await once(s, "error");
  return [e.message, e.description];
});
run();
