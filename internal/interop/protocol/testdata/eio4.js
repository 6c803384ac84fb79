// Engine.IO revision 4, from outside: handshake, messages, heartbeat, close, upgrade.
"use strict";
const { assert, check, run, sleep, request, brief, Polling, wire, refusal, raw, upgradeHead, fixture, ID } = require("./harness");
const base = fixture("eio4", "/engine.io/");
const ws = `${base}?EIO=4&transport=websocket`;
const RS = "\x1e";

function checkOpen(text, upgrades) {
  assert.equal(text[0], "0");
  const o = JSON.parse(text.slice(1));
  assert.deepEqual(Object.keys(o), ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]);
  assert.match(o.sid, new RegExp(`^${ID}$`));
  assert.deepEqual({ ...o, sid: 0 }, { sid: 0, upgrades, pingInterval: 300, pingTimeout: 200, maxPayload: 1000000 });
  return text;
}

check("22 handshake polling", async () => {
  const r = await request(base + "?EIO=4&transport=polling");
  assert.equal(r.headers["content-type"], "text/plain; charset=UTF-8");
  assert.equal(r.headers["cache-control"], "no-store");
  assert.equal(Number(r.headers["content-length"]), r.raw.length);
  return [r.status, checkOpen(r.body, ["websocket"])];
});
check("handshake websocket", async (leaving) => checkOpen(await (await wire(leaving, ws)).next(), []));

for (const [name, query, status, code] of [
  ["unknown transport", "EIO=4&transport=abc", 400, 0],
  ["no transport", "EIO=4", 400, 0],
  ["transport constructor", "EIO=4&transport=constructor", 400, 0],
  ["transport webtransport", "EIO=4&transport=webtransport", 400, 0],
  ["EIO abc", "EIO=abc&transport=polling", 400, 5],
  ["EIO 3", "EIO=3&transport=polling", 400, 5],
  ["no EIO", "transport=polling", 400, 5],
  ["plain websocket GET", "EIO=4&transport=websocket", 400, 3],
  ["unknown sid", "EIO=4&transport=polling&sid=abc", 400, 1],
  ["sid __proto__", "EIO=4&transport=polling&sid=__proto__", 400, 1],
  ["sid empty", "EIO=4&transport=polling&sid=", 200, undefined],
]) {
  check("polling refusal: " + name, async () => {
    const r = await request(`${base}?${query}`);
    assert.equal(r.status, status, r.body);
    if (code === undefined) return r.status;
    assert.equal(JSON.parse(r.body).code, code);
    assert.equal(r.headers["content-type"], "application/json");
    return [brief(r), r.headers["access-control-allow-origin"]];
  });
}
for (const method of ["POST", "PUT", "DELETE", "PATCH", "HEAD"]) {
  check("polling refusal: handshake with " + method, async () => {
    const r = await request(`${base}?EIO=4&transport=polling`, { method });
    assert.equal(r.status, 400);
    return brief(r);
  });
}
for (const [name, query] of [
  ["unknown transport", "EIO=4&transport=abc"], ["no transport", "EIO=4"],
  ["unknown sid", "EIO=4&transport=websocket&sid=abc"],
  ["EIO abc", "EIO=abc&transport=websocket"], ["no EIO", "transport=websocket"], ["EIO 3", "EIO=3&transport=websocket"],
  ["transport polling", "EIO=4&transport=polling"],
]) {
  check("websocket refusal: " + name, () => refusal(`${base}?${query}`));
}
check("websocket refusal: answer on the raw connection", async () => {
  const r = await raw(base, upgradeHead(base, "/engine.io/?EIO=4&transport=websocket&sid=nobody"));
  const text = r.data.toString();
  assert.equal(r.how, "closed");
  assert.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.match(text, /\r\nConnection: close\r\n/i);
  assert.match(text, /\r\nContent-Length: 18\r\n/i);
  assert.ok(text.endsWith("\r\n\r\nSession ID unknown"), text);
  return text.split("\r\n").filter((l) => !/^Date:/i.test(l)).map((l) => l.toLowerCase()).sort();
});
check("path: anything below, 404 beside", async () => {
  const below = await request(base + "anything?EIO=4&transport=polling");
  const beside = await request(base.replace("engine.io/", "other/") + "?EIO=4&transport=polling");
  assert.equal(below.status, 200);
  assert.equal(beside.status, 404);
  return [below.status, beside.status];
});
check("cors: star on answers, preflight 204", async () => {
  const p = await Polling.open(base);
  const headers = { Origin: "https://a.example", "Access-Control-Request-Headers": "x-a" };
  const pre = await request(p.url, { method: "OPTIONS", headers });
  const get = await request(base + "?EIO=4&transport=polling", { headers });
  const post = await p.post("4a", { headers });
  const pick = (r) => [r.status, r.headers["access-control-allow-origin"], r.headers.vary, r.headers["access-control-allow-methods"], r.headers["access-control-allow-headers"]];
  return [pick(pre), pick(get), pick(post)];
});

// Messages.
check("polling: text both ways", async () => {
  const p = await Polling.open(base);
  const post = await p.post("4hello");
  assert.equal(brief(post), "200 ok");
  const get = await p.get();
  assert.equal(get.body, "4hello");
  const h = (r) => [r.headers["content-type"], r.headers["content-length"], r.headers["cache-control"], r.headers["access-control-allow-origin"]];
  return [h(post), h(get)];
});
check("polling: several packets in a payload", async () => {
  const p = await Polling.open(base);
  await p.send(["4one", "4two", "4три 😀", "4"].join(RS));
  return p.poll(["4one", "4two", "4три 😀", "4"].join(RS));
});
check("polling: binary as base64, mixed", async () => {
  const p = await Polling.open(base);
  await p.send(["bAQIDBA==", "4a", "b", "bAQ=="].join(RS));
  return p.poll();
});
check("polling: lenient base64", async () => {
  const p = await Polling.open(base);
  await p.send(["b_-8=", "bAQ", "bA Q-I*D"].join(RS));
  return p.poll();
});
check("polling: pending GET gets the echo", async () => {
  const p = await Polling.open(base);
  const pending = p.get();
  await sleep(20);
  await p.send("4late");
  return brief(await pending);
});
check("polling: form content type is text too", async () => {
  const p = await Polling.open(base);
  await p.send("4x", { headers: { "Content-Type": "application/x-www-form-urlencoded" } });
  return p.poll();
});
check("websocket: text, empty, binary", async (leaving) => {
  const w = await wire(leaving, ws);
  await w.next();
  const seen = [];
  for (const m of ["4hello", "4", "4три 😀", Buffer.from([1, 2, 3]), Buffer.alloc(0), "bAQID"]) {
    w.send(m);
    const got = await w.next();
    seen.push(typeof got === "string" ? got : [...got]);
  }
  assert.deepEqual(seen, ["4hello", "4", "4три 😀", [1, 2, 3], [], [1, 2, 3]]);
  return seen;
});
check("websocket: many in order", async (leaving) => {
  const w = await wire(leaving, ws);
  await w.next();
  const wanted = Array.from({ length: 300 }, (_, i) => "4" + i);
  wanted.forEach((m) => w.send(m));
  const got = [];
  while (got.length < 300) {
    const m = await w.next();
    if (m !== "2") got.push(m);
  }
  assert.deepEqual(got, wanted);
});

// What is wrong.
for (const [name, body, delivered] of [
  ["unknown type", "abc", null], ["type 7", "7", null], ["empty body", "", null],
  ["empty packet", "4a" + RS, "4a"], ["bad after good", "4one" + RS + "x" + RS + "4three", "4one"],
  ["ping from a client", "2", null], ["ping with data", "2probe", null],
]) {
  check("04 polling, wrong: " + name, async () => {
    const p = await Polling.open(base);
    const pending = delivered && p.get();
    await sleep(20);
    const post = await p.post(body).then(brief, (e) => e.code);
    const got = pending && brief(await pending);
    const after = await p.get();
    assert.equal(after.status, 400);
    return [post, got, brief(after)];
  });
}
for (const body of ["0", "5", "6", "3", "33"]) {
  check("polling: packet " + body + " is ignored", async () => {
    const p = await Polling.open(base);
    await p.send(body);
    await p.send("4x");
    return p.poll();
  });
}
for (const [name, m] of [["unknown type", "abc"], ["empty", ""], ["ping", "2"], ["probe", "2probe"], ["type 9", "9"]]) {
  check("websocket, wrong: " + name, async (leaving) => {
    const w = await wire(leaving, ws);
    await w.next();
    w.send(m);
    return w.closed;
  });
}
check("websocket: 0, 5, 6, 3 are ignored", async (leaving) => {
  const w = await wire(leaving, ws);
  await w.next();
  ["0", "5", "6", "3", "4x"].forEach((m) => w.send(m));
  return w.next();
});
check("websocket: close packet", async (leaving) => {
  const w = await wire(leaving, ws);
  await w.next();
  w.send("1");
  const quick = await Promise.race([w.closed.then(() => true), sleep(250).then(() => false)]);
  return [quick];
});
check("05 octet-stream", async () => {
  const p = await Polling.open(base);
  const r = await p.post("4a", { headers: { "Content-Type": "application/octet-stream" } });
  const after = await p.get();
  assert.equal(r.status, 400);
  assert.equal(after.status, 400);
  return [brief(r), brief(after)];
});
for (const method of ["PUT", "DELETE", "HEAD", "PATCH"]) {
  check("polling: " + method + " with a sid", async () => {
    const p = await Polling.open(base);
    const r = await request(p.url, { method });
    await p.send("4still");
    return [brief(r), await p.poll()];
  });
}
check("06 413, exactly the limit passes", async () => {
  const p = await Polling.open(base);
  await p.send("4" + "b".repeat(999999));
  const got = await p.poll();
  assert.equal(got.length, 1000000);
  return p.post("4" + "a".repeat(1000000)).then(brief, (e) => e.code);
});
check("06 413 of a chunked body", async () => {
  const p = await Polling.open(base);
  const answer = await request(p.url, { method: "POST", headers: { "Transfer-Encoding": "chunked", "Content-Type": "text/plain" }, body: "4" + "a".repeat(1000000) }).then(brief, (e) => e.code);
  assert.doesNotMatch(answer, /^200/);
  return answer;
});
check("06 413 and the session", async () => {
  const p = await Polling.open(base);
  await p.post("4" + "a".repeat(1000000)).catch(() => {});
  return brief(await p.post("4still"));
});
check("websocket: message over the limit", async (leaving) => {
  const w = await wire(leaving, ws);
  await w.next();
  w.send("4" + "a".repeat(999999));
  assert.equal((await w.next()).length, 1000000);
  w.send("4" + "a".repeat(1000000));
  const code = await w.closed;
  assert.equal(code, 1009);
  return code;
});
check("01 overlapping GETs", async () => {
  const p = await Polling.open(base);
  const first = p.get();
  await sleep(30);
  const second = await p.get();
  const one = await first;
  assert.equal(brief(one), "200 1");
  assert.equal(second.status, 400);
  const after = await p.get();
  assert.equal(after.status, 400);
  return [brief(one), brief(second), brief(after)];
});
check("polling: overlapping POSTs", async () => {
  const p = await Polling.open(base);
  const { pathname, search, host } = new URL(p.url);
  const slow = raw(base, `POST ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n4ab`);
  await sleep(30);
  const second = await p.post("4x");
  const one = await slow;
  const after = await p.get();
  assert.equal(second.status, 400);
  assert.equal(after.status, 400);
  return [brief(second), one.data.length, brief(after)];
});
check("02 cancelled GET closes at once", async () => {
  const p = await Polling.open(base);
  const stop = new AbortController();
  const pending = p.get({ signal: stop.signal }).catch(() => {});
  await sleep(30);
  stop.abort();
  await pending;
  await sleep(10);
  return brief(await p.get());
});
check("polling: POST cut in its body closes", async () => {
  const p = await Polling.open(base);
  const { pathname, search, host } = new URL(p.url);
  await raw(base, [`POST ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n4ab`, 30], { limit: 60 });
  await sleep(20);
  return brief(await p.get());
});

// Heartbeat.
check("heartbeat polling: pings follow pongs", async () => {
  const p = await Polling.open(base);
  for (let i = 0; i < 3; i++) {
    const began = Date.now();
    await p.poll("2");
    assert.ok(Date.now() - began > 250, "ping after " + (Date.now() - began) + " ms");
    await p.send("3");
  }
});
check("heartbeat websocket: pings follow pongs", async (leaving) => {
  const w = await wire(leaving, ws);
  await w.next();
  for (let i = 0; i < 3; i++) {
    await w.expect("2");
    w.send("3");
  }
});
check("03 heartbeat polling: fails exactly at the deadline", async () => {
  let last;
  for (let i = 0; i < 3; i++) { // a busy machine may make one attempt late, not three
    const p = await Polling.open(base);
    await sleep(500);
    last = await p.get();
    if (last.status === 400) return brief(last);
  }
  assert.equal(brief(last), "400");
});
check("heartbeat polling: alive just before the deadline", async () => {
  const p = await Polling.open(base);
  await sleep(430);
  return p.poll("2");
});
check("heartbeat websocket: closes at the deadline", async (leaving) => {
  const w = await wire(leaving, ws);
  await w.next();
  const began = Date.now();
  const code = await w.closed;
  const took = Date.now() - began;
  assert.ok(took >= 480 && took < 700, `closed after ${took} ms`);
  return code;
});
check("heartbeat: another packet extends once", async (leaving) => {
  const w = await wire(leaving, ws);
  await w.next();
  await w.expect("2");
  const began = Date.now();
  const beat = setInterval(() => w.ws.readyState === 1 && w.send("4x"), 50);
  leaving(() => clearInterval(beat));
  await w.closed;
  const took = Date.now() - began;
  assert.ok(took >= 220 && took < 400, `closed after ${took} ms`);
});

// Closing.
check("close from the client: polling", async () => {
  const p = await Polling.open(base);
  const pending = p.get();
  await sleep(20);
  const post = brief(await p.post("1"));
  const got = brief(await pending);
  assert.deepEqual([post, got], ["200 ok", "200 6"]);
  return [brief(await p.get()), brief(await p.post("4a"))];
});
check("close from the client: polling without GET", async () => {
  const p = await Polling.open(base);
  await p.send("1");
  return brief(await p.get());
});
check("close from the client: packets after the close packet", async () => {
  const p = await Polling.open(base);
  const pending = p.get();
  await sleep(20);
  await p.send("4a" + RS + "1" + RS + "4b");
  return [brief(await pending), brief(await p.get())];
});
check("close from the client: websocket", async (leaving) => {
  const w = await wire(leaving, ws);
  const { sid } = JSON.parse((await w.next()).slice(1));
  w.ws.close();
  const code = await w.closed;
  await sleep(20);
  return [code, brief(await request(`${base}?EIO=4&transport=polling&sid=${sid}`))];
});

// Upgrade.
async function probed(leaving, p) {
  const w = await wire(leaving, `${ws}&sid=${p.sid}`);
  w.send("2probe");
  await w.expect("3probe");
  return w;
}
check("upgrade: to websocket and on", async (leaving) => {
  const p = await Polling.open(base);
  const w = await probed(leaving, p);
  w.send("5");
  w.send("4hello");
  await w.expect("4hello");
  const get = await p.get(), post = await p.post("4a");
  return [brief(get), brief(post)];
});
check("upgrade: pending GET gets a noop", async (leaving) => {
  const p = await Polling.open(base);
  const pending = p.get();
  const w = await probed(leaving, p);
  const r = brief(await pending);
  assert.equal(r, "200 6");
  w.send("5");
  w.send("4x");
  await w.expect("4x");
  return r;
});
check("polling: more than a megabyte waits for the next GET", async () => {
  const p = await Polling.open(base);
  const big = "4" + "x".repeat(700000);
  for (let i = 0; i < 2; i++) await p.send(big);
  let got = 0;
  while (got < 2) got += (await p.get()).body.split(RS).filter((m) => m === big).length;
  return got;
});
check("polling: a thousand packets in a payload", async () => {
  const p = await Polling.open(base);
  const sent = Array.from({ length: 1001 }, (_, i) => "4" + i);
  await p.send(sent.join(RS));
  const got = [];
  while (got.length < sent.length) got.push(...(await p.get()).body.split(RS).filter((m) => m !== "2"));
  assert.deepEqual(got, sent);
  return got.length;
});
check("polling: a POST right behind a GET", async () => {
  const answers = {};
  for (let i = 0; i < 100; i++) {
    const p = await Polling.open(base);
    const both = await Promise.all([p.get(), p.post("1")]);
    const key = both.map(brief).join("|");
    answers[key] = (answers[key] || 0) + 1;
  }
  return answers;
});
check("upgrade: GET still pending at the end gets an answer", async (leaving) => {
  const p = await Polling.open(base);
  const w = await probed(leaving, p);
  const pending = p.get();
  await sleep(20);
  w.send("5");
  return brief(await pending);
});
check("09 upgrade: messages over polling during the probe", async (leaving) => {
  const p = await Polling.open(base);
  const w = await probed(leaving, p);
  await p.send("41");
  await p.send("42" + RS + "43");
  w.send("5");
  w.send("44");
  const got = [];
  while (got.length < 4) got.push(await w.next());
  assert.deepEqual(got, ["41", "42", "43", "44"]);
  return got;
});
check("upgrade: unknown sid", () => refusal(`${ws}&sid=nobody`));
check("10 upgrade: a second WebSocket while probing", async (leaving) => {
  const p = await Polling.open(base);
  const w = await probed(leaving, p);
  const second = await refusal(`${ws}&sid=${p.sid}`);
  w.send("5");
  w.send("4on");
  await w.expect("4on");
  return second;
});
check("10 upgrade: a second WebSocket after the upgrade", async (leaving) => {
  const p = await Polling.open(base);
  const w = await probed(leaving, p);
  w.send("5");
  w.send("4a");
  await w.expect("4a");
  const second = await refusal(`${ws}&sid=${p.sid}`);
  w.send("4b");
  await w.expect("4b");
  return second;
});
check("10 upgrade: WebSocket of a websocket session", async (leaving) => {
  const w = await wire(leaving, ws);
  const { sid } = JSON.parse((await w.next()).slice(1));
  const second = await refusal(`${ws}&sid=${sid}`);
  w.send("4b");
  await w.expect("4b");
  return second;
});
for (const m of ["4early", "3", "x", "2", "2prob", "1"]) {
  check("upgrade: first packet " + m + " ends the WebSocket only", async (leaving) => {
    const p = await Polling.open(base);
    const w = await wire(leaving, `${ws}&sid=${p.sid}`);
    w.send(m);
    const code = await w.closed;
    await p.send("4still");
    return [code, await p.poll()];
  });
}
check("upgrade: WebSocket lost while probing", async (leaving) => {
  const p = await Polling.open(base);
  const w = await probed(leaving, p);
  w.ws.terminate();
  await sleep(20);
  await p.send("4still");
  await p.poll("4still");
  const again = await probed(leaving, p);
  again.send("5");
  again.send("4x");
  return again.next();
});
check("upgrade: without probe", async (leaving) => {
  const p = await Polling.open(base);
  const w = await wire(leaving, `${ws}&sid=${p.sid}`);
  w.send("5");
  w.send("4x");
  return w.next();
});
check("upgrade: EIO 3 for a session of EIO 4", async () => {
  const p = await Polling.open(base);
  const r = [await refusal(`${base}?EIO=3&transport=websocket&sid=${p.sid}`), brief(await request(p.url.replace("EIO=4", "EIO=3")))];
  await p.send("4still");
  return [...r, await p.poll()];
});
check("11 upgrade: session closed while probing", async (leaving) => {
  const p = await Polling.open(base);
  const w = await probed(leaving, p);
  await p.send("1");
  return w.closed;
});
check("11 upgrade: heartbeat goes on", async (leaving) => {
  const p = await Polling.open(base);
  const w = await probed(leaving, p);
  w.send("5");
  for (let i = 0; i < 3; i++) {
    await w.expect("2");
    w.send("3");
  }
  w.send("4end");
  await w.expect("4end");
});
run();
