// Socket.IO protocol revision 5, packet by packet, over WebSocket and polling.
"use strict";
const { assert, check, run, sleep, request, brief, Polling, wire, fixture, ID } = require("./harness");
const base = fixture("sio5", "/socket.io/");
const RS = "\x1e";

// open is an engine session over WebSocket; pings are answered and not shown.
async function open(leaving) {
  const w = await wire(leaving, `${base}?EIO=4&transport=websocket`);
  const put = w.put.bind(w);
  w.put = (m) => (m === "2" ? w.send("3") : put(m));
  w.first = await w.next();
  return w;
}
async function joined(leaving) {
  const w = await open(leaving);
  w.send("40");
  assert.match(await w.next(), new RegExp(`^40\\{"sid":"${ID}"\\}$`));
  await w.expect('42["auth",{}]');
  return w;
}
async function joinedByPolling() {
  const p = await Polling.open(base);
  await p.send("40");
  let got = "";
  while (got.split(RS).filter(Boolean).length < 2) got += RS + (await p.poll());
  return p;
}
// waits for what comes within a moment, or for the close.
async function aftermath(w, ms = 500) {
  const seen = [];
  const end = sleep(ms).then(() => "open");
  for (;;) {
    const m = await Promise.race([w.next().catch(async () => ["closed " + (await w.closed)]), end]);
    if (Array.isArray(m)) return [...seen, m[0]];
    if (m === "open") return [...seen, "open"];
    seen.push(Buffer.isBuffer(m) ? [...m] : m);
  }
}

check("connect", async (leaving) => {
  const w = await open(leaving);
  w.send("40");
  const m = await w.next();
  assert.match(m, new RegExp(`^40\\{"sid":"${ID}"\\}$`));
  assert.notEqual(JSON.parse(m.slice(2)).sid, JSON.parse(w.first.slice(1)).sid);
  return [m, await w.next()];
});
check("connect with auth", async (leaving) => {
  const w = await open(leaving);
  w.send('40{"token":"123","n":[1,{"a":null}]}');
  const m = [await w.next(), await w.next()];
  assert.equal(m[1], '42["auth",{"token":"123","n":[1,{"a":null}]}]');
  return m;
});
check("connect with an empty auth", async (leaving) => {
  const w = await open(leaving);
  w.send("40{}");
  return [await w.next(), await w.next()];
});
for (const m of ["40/custom", "40/custom,", '40/custom,{"token":"abc"}']) {
  check("connect: " + m, async (leaving) => {
    const w = await open(leaving);
    w.send(m);
    const a = [await w.next(), await w.next()];
    assert.match(a[0], new RegExp(`^40/custom,\\{"sid":"${ID}"\\}$`));
    assert.match(a[1], /^42\/custom,\["auth",\{.*\}\]$/);
    return a;
  });
}
for (const m of ["40/random", "40/random,", "40/random,{}", "40/__proto__", "40/constructor,", "40/custom?a=b,", "40/Custom,"]) {
  check("connect, unknown namespace: " + m, async (leaving) => {
    const w = await open(leaving);
    w.send(m);
    const a = await w.next();
    assert.match(a, /^44\/[^,]+,\{"message":"Invalid namespace"\}$/);
    w.send("40");
    return [a, await w.next(), await w.next()];
  });
}
check("connect twice", async (leaving) => {
  const w = await joined(leaving);
  w.send("40");
  return aftermath(w);
});
check("connect: two namespaces side by side", async (leaving) => {
  const w = await joined(leaving);
  w.send("40/custom,");
  const a = [await w.next(), await w.next()];
  w.send('42["message","still"]');
  return [...a, await w.next()];
});
check("connect over polling, several packets in one POST", async () => {
  const p = await Polling.open(base);
  await p.send("40" + RS + "40/custom," + RS + "40/random,");
  let got = [];
  while (got.length < 5) got.push(...(await p.poll()).split(RS));
  return got.sort();
});
check("connectTimeout", async (leaving) => {
  const w = await open(leaving);
  const began = Date.now();
  const code = await w.closed;
  const took = Date.now() - began;
  assert.ok(took >= 950 && took < 1400, `closed after ${took} ms`);
  return code;
});
check("connectTimeout counts after a refused CONNECT", async (leaving) => {
  const w = await open(leaving);
  w.send("40/random");
  await w.next();
  const began = Date.now();
  await w.closed;
  const took = Date.now() - began;
  assert.ok(took >= 900 && took < 1400, `closed after ${took} ms`);
});
check("connectTimeout is over after a CONNECT", async (leaving) => {
  const w = await joined(leaving);
  await sleep(1200);
  w.send('42["message"]');
  return w.next();
});

// Decoding errors close the connection, before and after the CONNECT.
for (const m of ["4abc", "4", "40abc", "40[]", "40null", '40"a"', "40{", "40,{}", "48", "44{}", '44{"message":"x"}', "41{}", "41[]",
  "43", '42["a"]', '42/custom,["a"]', "41", "41/custom,", "45", "46"]) {
  check("before CONNECT: " + m, async (leaving) => {
    const w = await open(leaving);
    w.send(m);
    const seen = await aftermath(w);
    assert.match(seen.at(-1), /^closed/);
    return seen;
  });
}
for (const m of ["4abc", "4", "48", "42{}", "42[]", '42"x"', "42[[]]", "42[null]", "42[true]", '42[{"toString":"x"}]', '42["a"', '42["a"]x', '42,["q"]', '42-1["q"]', '421.5["q"]', '421e2["q"]',
  '42["connect"]', '42["connect_error"]', '42["disconnect"]', '42["disconnecting"]', '42["newListener"]', '42["removeListener"]',
  '43{}', '43"a"', '431{"a":1}', "44", "44{}", '44{"message":"x"}', '44"x"', "41{}", '40{"a":1}', '42/custom,["a"]', "41/custom,", '42/random,["a"]',
  '45["a"]', '45-["a"]', '450-["a"]', '45a-["a"]', '451.5-["a"]', '45-1-["a"]', '4511-["a"]', '451["a"]', '461-{}']) {
  check("after CONNECT, closes: " + m, async (leaving) => {
    const w = await joined(leaving);
    w.send(m);
    const seen = await aftermath(w);
    assert.match(seen.at(-1), /^closed/);
    return seen;
  });
}
for (const m of ["42", "43", "431", '439["a"]', "42[1,2]", '42["unknown",1]', '42["error"]', '42["connection"]', '42["__proto__"]', '42["message-with-ack"', '439007199254740991["a"]', "43[]"].filter((m) => m.endsWith("]") || !m.includes("["))) {
  check("after CONNECT, stays open: " + m, async (leaving) => {
    const w = await joined(leaving);
    w.send(m);
    w.send('42["message","on"]');
    await w.expect('42["message-back","on"]');
  });
}
check("binary: unexpected frame", async (leaving) => {
  const w = await joined(leaving);
  w.send(Buffer.from([1]));
  return aftermath(w);
});
check("binary: unexpected frame before CONNECT", async (leaving) => {
  const w = await open(leaving);
  w.send(Buffer.from([1]));
  return aftermath(w);
});
check("binary: text while attachments are missing", async (leaving) => {
  const w = await joined(leaving);
  w.send('452-["message",{"_placeholder":true,"num":0}]');
  w.send('42["message"]');
  return aftermath(w);
});
for (const num of ["-1", "1", "1.5", "null", '"splice"', '"0"', "1e309", "true", "[]"]) {
  check("binary: placeholder num " + num, async (leaving) => {
    const w = await joined(leaving);
    w.send(`451-["message",{"_placeholder":true,"num":${num}}]`);
    w.send(Buffer.from([1]));
    const seen = await aftermath(w);
    assert.match(seen.at(-1), /^closed/);
    return seen;
  });
}
check("binary: placeholder without num", async (leaving) => {
  const w = await joined(leaving);
  w.send('451-["message",{"_placeholder":true}]');
  w.send(Buffer.from([1]));
  return aftermath(w);
});
check("binary: same num twice, extra keys", async (leaving) => {
  const w = await joined(leaving);
  w.send('451-["message",{"_placeholder":true,"num":0,"x":1},[{"_placeholder":true,"num":0}]]');
  w.send(Buffer.from([7]));
  return aftermath(w);
});
check("binary: fewer placeholders than frames", async (leaving) => {
  const w = await joined(leaving);
  w.send('452-["message",{"_placeholder":true,"num":1}]');
  w.send(Buffer.from([7]));
  w.send(Buffer.from([8]));
  return aftermath(w);
});
check("binary: _placeholder that is not true, or in a text packet", async (leaving) => {
  const w = await joined(leaving);
  w.send('42["message",{"_placeholder":true,"num":0}]');
  w.send('451-["message",{"_placeholder":1,"num":0},{"_placeholder":true,"num":0}]');
  w.send(Buffer.from([9]));
  return aftermath(w);
});

// Disconnecting.
check("disconnect: connection stays, next is the ping", async (leaving) => {
  const w = await wire(leaving, `${base}?EIO=4&transport=websocket`);
  await w.next();
  w.send("40");
  await w.next();
  await w.next();
  w.send("41");
  await w.expect("2");
});
check("disconnect, then EVENT", async (leaving) => {
  const w = await joined(leaving);
  w.send("41");
  await sleep(50);
  w.send('42["message"]');
  return aftermath(w);
});
check("disconnect, then CONNECT again", async (leaving) => {
  const w = await joined(leaving);
  w.send("41");
  await sleep(50);
  w.send("40");
  return aftermath(w);
});
check("disconnect: the other namespace stays", async (leaving) => {
  const w = await joined(leaving);
  w.send("40/custom");
  await w.next();
  await w.next();
  w.send("41/custom,");
  w.send('42["message","on"]');
  return w.next();
});
check("close of the transport", async (leaving) => {
  const w = await joined(leaving);
  w.ws.close();
  return w.closed;
});
check("41 over polling, GET pending", async () => {
  const p = await joinedByPolling();
  await p.send("41");
  return p.poll("2");
});

// Messages.
for (const [m, back] of [
  ['42["message",1,"2",{"3":[true]}]', '42["message-back",1,"2",{"3":[true]}]'],
  ['42["message"]', '42["message-back"]'],
  ['42/,["message",1]', '42["message-back",1]'],
  ['43456["x"]', undefined],
  ['42456["message-with-ack",1,"2",{"3":[false]}]', '43456[1,"2",{"3":[false]}]'],
  ['420["message-with-ack"]', "430[]"],
  ['42007["message-with-ack",null]', "437[null]"],
  ['429007199254740991["message-with-ack",0]', "439007199254740991[0]"],
  ['42["message",1.5,-0.25,1e21,12345678901234567890,"é😀\\u2028",{"b":1,"a":2}]', undefined],
  ['42["message","<b>&\\"\\\\/\\n\\u0001\\ud83d\\ude00"]', undefined],
  ['42["message",{"__proto__":1,"constructor":{"x":1},"toString":null}]', undefined],
  ['42["message", 1 , [ ] ]', undefined],
  ['42["message",1.0,1E2,0.1e1,-0,100000000000000000000,1e-7]', undefined],
  ['42["message",{"a":1,"a":2}]', undefined],
  ['42["message",{"2":0,"1":0,"b":0,"a":0}]', undefined],
  ['42["message","\\ud800"]', undefined],
]) {
  check("message: " + m, async (leaving) => {
    const w = await joined(leaving);
    w.send(m);
    if (!/message/.test(m)) return aftermath(w);
    const got = await w.next();
    if (back) assert.equal(got, back);
    return got;
  });
}
check("message: binary", async (leaving) => {
  const w = await joined(leaving);
  w.send('452-["message",{"_placeholder":true,"num":0},{"a":[{"_placeholder":true,"num":1}]}]');
  w.send(Buffer.from([1, 2, 3]));
  w.send(Buffer.from([4, 5, 6]));
  const got = [await w.next(), await w.next(), await w.next()];
  assert.deepEqual(got, ['452-["message-back",{"_placeholder":true,"num":0},{"a":[{"_placeholder":true,"num":1}]}]', Buffer.from([1, 2, 3]), Buffer.from([4, 5, 6])]);
});
check("message: binary out of order", async (leaving) => {
  const w = await joined(leaving);
  w.send('453-["message",{"_placeholder":true,"num":2},{"_placeholder":true,"num":0},{"num":1,"_placeholder":true}]');
  [1, 2, 3].forEach((n) => w.send(Buffer.from([n])));
  return aftermath(w);
});
check("message: binary out of order, one unused", async (leaving) => {
  const w = await joined(leaving);
  w.send('453-["message",{"_placeholder":true,"num":2},{"_placeholder":true,"num":0}]');
  [1, 2, 3].forEach((n) => w.send(Buffer.from([n])));
  return aftermath(w);
});
check("message: binary ack", async (leaving) => {
  const w = await joined(leaving);
  w.send('452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
  w.send(Buffer.from([1, 2, 3]));
  w.send(Buffer.from([4, 5, 6]));
  const got = [await w.next(), await w.next(), await w.next()];
  assert.equal(got[0], '462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
  return got.map((g) => (Buffer.isBuffer(g) ? [...g] : g));
});
check("message: empty attachment", async (leaving) => {
  const w = await joined(leaving);
  w.send('451-["message",{"_placeholder":true,"num":0}]');
  w.send(Buffer.alloc(0));
  return aftermath(w);
});
check("message: binary over polling", async () => {
  const p = await joinedByPolling();
  await p.send('451-["message",{"_placeholder":true,"num":0}]' + RS + "bAQID");
  let got = [];
  while (got.length < 2) got.push(...(await p.poll()).split(RS));
  assert.deepEqual(got, ['451-["message-back",{"_placeholder":true,"num":0}]', "bAQID"]);
});
check("message: ten attachments", async (leaving) => {
  const w = await joined(leaving);
  const list = Array.from({ length: 10 }, (_, i) => `{"_placeholder":true,"num":${i}}`);
  w.send(`4510-["message",${list}]`);
  list.forEach((_, i) => w.send(Buffer.from([i])));
  const seen = await aftermath(w);
  assert.equal(seen.length, 12);
  return seen;
});
check("messages keep their order", async (leaving) => {
  const w = await joined(leaving);
  const wanted = [];
  for (let i = 0; i < 200; i++) {
    w.send(i % 2 ? `42["message",${i}]` : `42${i}["message-with-ack",${i}]`);
    wanted.push(i % 2 ? `42["message-back",${i}]` : `43${i}[${i}]`);
  }
  for (const m of wanted) await w.expect(m);
});
check("EVENT before the CONNECT was answered", async (leaving) => {
  const w = await open(leaving);
  w.send("40");
  w.send('42["message","quick"]');
  const seen = await aftermath(w); // whether the CONNECT is done by then is nobody's promise
  assert.ok(seen[0].startsWith("closed") || seen.includes('42["message-back","quick"]'), String(seen));
});
check("other paths", async () => brief(await request(base.replace("socket.io/", "nothing"))).slice(0, 3));
check("refusal of EIO 3", async () => brief(await request(base + "?EIO=3&transport=polling")));
run();
