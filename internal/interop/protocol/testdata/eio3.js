// Engine.IO revision 3, from outside: its payloads, and who sends the heartbeat.
"use strict";
const { assert, check, run, sleep, request, brief, Polling, wire, refusal, fixture } = require("./harness");
const base = fixture("eio3", "/engine.io/");
const ws = `${base}?EIO=3&transport=websocket`;
const open = (more = "") => Polling.open(base, "EIO=3" + more);
const binaryType = { headers: { "Content-Type": "application/octet-stream" } };

check("handshake polling", async () => {
  const r = await request(base + "?EIO=3&transport=polling");
  const [length, rest] = [r.body.slice(0, r.body.indexOf(":")), r.body.slice(r.body.indexOf(":") + 1)];
  assert.equal(Number(length), rest.length);
  assert.equal(rest[0], "0");
  return [r.status, r.headers["content-type"], rest];
});
check("handshake polling with b64", async () => {
  const r = await request(base + "?EIO=3&transport=polling&b64=1");
  return [r.status, r.headers["content-type"], r.body];
});
check("handshake without EIO is revision 3", async () => {
  const r = await request(base + "?transport=polling");
  return [r.status, r.body];
});
check("handshake websocket", async (leaving) => (await wire(leaving, ws)).next());
check("handshake of revision 4 beside", async () => (await request(base + "?EIO=4&transport=polling")).body);
for (const query of ["EIO=3&transport=abc", "EIO=3", "EIO=3&transport=websocket", "EIO=3&transport=polling&sid=abc"]) {
  check("polling refusal: " + query, async () => {
    const r = await request(`${base}?${query}`);
    assert.equal(r.status, 400);
    return brief(r);
  });
}
for (const query of ["EIO=3&transport=abc", "EIO=3", "EIO=3&transport=websocket&sid=abc"]) {
  check("websocket refusal: " + query, () => refusal(`${base}?${query}`));
}
check("polling: POST without sid", async () => brief(await request(base + "?EIO=3&transport=polling", { method: "POST" })));

check("polling: text", async () => {
  const p = await open();
  await p.send("6:4hello");
  const r = await p.get();
  assert.equal(r.body, "6:4hello");
  return [r.headers["content-type"], r.body];
});
check("polling: several packets", async () => {
  const p = await open();
  await p.send("6:4test16:4test26:4test3");
  return p.poll("6:4test16:4test26:4test3");
});
check("23 length in UTF-16 units", async () => {
  const p = await open();
  await p.send('11:4311["é😀"]5:4😀€a');
  return p.poll('11:4311["é😀"]5:4😀€a');
});
check("polling: binary as base64 from b64=1", async () => {
  const p = await open("&b64=1");
  await p.send("10:b4AQIDBA==6:4hello");
  const r = await p.get();
  assert.equal(r.body, "10:b4AQIDBA==6:4hello");
  return [r.headers["content-type"], r.body];
});
check("polling: binary payload both ways", async () => {
  const p = await open();
  const body = Buffer.concat([Buffer.from([0, 6, 255]), Buffer.from("4hello"), Buffer.from([1, 5, 255, 4, 1, 2, 3, 4])]);
  await p.send(body, binaryType);
  const r = await p.get();
  assert.deepEqual(r.raw, body);
  return [r.headers["content-type"], r.raw.toString("hex")];
});
check("23 strings of a binary payload are counted in bytes", async () => {
  const p = await open();
  const text = Buffer.from("4é😀");
  const body = Buffer.concat([Buffer.from([0, text.length, 255]), text, Buffer.from([1, 1, 2, 255, 4]), Buffer.alloc(11, 7)]);
  await p.send(body, binaryType);
  const r = await p.get();
  assert.ok(r.raw.includes(text), "answered " + r.raw.toString("hex"));
  return r.raw.toString("hex");
});
check("polling: text only is answered as text to a binary POST", async () => {
  const p = await open();
  await p.send(Buffer.concat([Buffer.from([0, 2, 255]), Buffer.from("4x")]), binaryType);
  const r = await p.get();
  return [r.headers["content-type"], r.body];
});
check("polling: binary of a b64 session posted as octet-stream", async () => {
  const p = await open("&b64=1");
  await p.send(Buffer.from([1, 4, 255, 4, 1, 2, 3]), binaryType);
  const r = await p.get();
  return [r.headers["content-type"], r.body];
});
check("polling: b64 of a later poll does not count", async () => {
  const p = await open();
  await p.send("10:b4AQIDBA==");
  const r = await request(p.url + "&b64=1");
  return [r.headers["content-type"], r.raw.toString("hex")];
});
check("websocket: text and binary", async (leaving) => {
  const w = await wire(leaving, ws);
  await w.next();
  w.send("4hello");
  await w.expect("4hello");
  w.send(Buffer.from([4, 1, 2, 3]));
  await w.expect(Buffer.from([4, 1, 2, 3]));
  w.send("4");
  return w.next();
});
check("websocket: b64", async (leaving) => {
  const w = await wire(leaving, ws + "&b64=1");
  await w.next();
  w.send("b4AQID");
  return w.next();
});

for (const [name, body, o] of [
  ["no length", "abc"], ["empty body", ""], ["too short", "10:4a"], ["unknown type", "4:abcd"], ["digits without colon", "12"],
  ["minus", "-1:4"], ["trailing digits", "2:4a3"], ["huge length", "9".repeat(400) + ":4a"],
  ["binary rubbish", Buffer.from([9, 9, 9]), binaryType], ["binary without end", Buffer.from([0, 5, 255, 52]), binaryType],
  ["server's pong", "1:3"], ["bytes counted as units", "6:4é😀"],
]) {
  check("polling, wrong: " + name, async () => {
    const p = await open();
    const post = await p.post(body, o).then(brief, (e) => e.code);
    const after = await p.get();
    assert.equal(after.status, 400, "still open: " + brief(after));
    return [post, brief(after)];
  });
}
check("polling: an empty payload is no error", async () => {
  const p = await open();
  await p.send("0:");
  await p.send("2:4a");
  return p.poll("2:4a");
});
check("polling: good before bad", async () => {
  const p = await open();
  const pending = p.get();
  await sleep(20);
  const post = brief(await p.post("2:4a4:zzzz2:4b"));
  return [post, brief(await pending), brief(await p.get())];
});
for (const m of ["abc", "3", "", Buffer.from([9, 1])]) {
  check("websocket, wrong: " + JSON.stringify(m), async (leaving) => {
    const w = await wire(leaving, ws);
    await w.next();
    w.send(m);
    return w.closed;
  });
}
check("polling: overlapping GETs", async () => {
  const p = await open();
  const first = p.get();
  await sleep(30);
  const second = await p.get();
  const one = await first;
  assert.equal(brief(one), "200 1:1");
  return [brief(one), brief(second), brief(await p.get())];
});

check("24 the client pings, polling", async () => {
  const p = await open();
  for (let i = 0; i < 2; i++) {
    await sleep(300);
    await p.send("1:2");
    await p.poll("1:3");
  }
  await p.send("4:2foo");
  return p.poll();
});
check("24 the client pings, websocket", async (leaving) => {
  const w = await wire(leaving, ws);
  await w.next();
  for (let i = 0; i < 2; i++) {
    await sleep(300);
    w.send("2");
    await w.expect("3");
  }
  w.send("2foo");
  return w.next();
});
check("24 fails exactly at the deadline", async () => {
  let last;
  for (let i = 0; i < 3; i++) {
    const p = await open();
    await sleep(500);
    last = await p.get();
    if (last.status === 400) return brief(last);
  }
  assert.equal(brief(last), "400");
});
check("heartbeat: alive just before the deadline", async () => {
  const p = await open();
  await sleep(440);
  await p.send("1:2");
  await sleep(300);
  await p.send("2:4a");
  return p.poll();
});
check("heartbeat: websocket closes at the deadline, no ping from the server", async (leaving) => {
  const w = await wire(leaving, ws);
  await w.next();
  const began = Date.now();
  const code = await w.closed;
  const took = Date.now() - began;
  assert.ok(took >= 480 && took < 700, `closed after ${took} ms`);
  return [code, w.queue];
});

check("close from the client: polling", async () => {
  const p = await open();
  const pending = p.get();
  await sleep(20);
  const post = brief(await p.post("1:1"));
  return [post, brief(await pending), brief(await p.get())];
});
check("close from the client: websocket", async (leaving) => {
  const w = await wire(leaving, ws);
  const { sid } = JSON.parse((await w.next()).slice(1));
  w.ws.close();
  const code = await w.closed;
  await sleep(20);
  return [code, brief(await request(`${base}?EIO=3&transport=polling&sid=${sid}`))];
});
async function probed(leaving, p) {
  const w = await wire(leaving, `${ws}&sid=${p.sid}`);
  w.send("2probe");
  await w.expect("3probe");
  return w;
}
check("upgrade with noop", async (leaving) => {
  const p = await open();
  const pending = p.get();
  const w = await probed(leaving, p);
  const r = brief(await pending);
  assert.equal(r, "200 1:6");
  w.send("5");
  w.send("4x");
  await w.expect("4x");
  return [r, brief(await p.get())];
});
check("upgrade: messages during the probe", async (leaving) => {
  const p = await open();
  const w = await probed(leaving, p);
  await p.send("2:412:42");
  w.send("5");
  w.send("43");
  return [await w.next(), await w.next(), await w.next()];
});
check("upgrade: a second WebSocket", async (leaving) => {
  const p = await open();
  const w = await probed(leaving, p);
  w.send("5");
  w.send("4a");
  await w.expect("4a");
  const second = await refusal(`${ws}&sid=${p.sid}`);
  w.send("4b");
  return [second, await w.next()];
});
check("upgrade: EIO 4 for a session of EIO 3", async () => {
  const p = await open();
  return [await refusal(`${base}?EIO=4&transport=websocket&sid=${p.sid}`), brief(await request(p.url.replace("EIO=3", "EIO=4")))];
});
check("jsonp", async () => {
  const r = await request(base + "?EIO=3&transport=polling&j=0");
  return [r.status, r.headers["content-type"], r.body];
});
run();
