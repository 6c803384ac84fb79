// docs/reliability.md §2.1, row by row, with raw bytes. Only against ours: Node is laxer.
"use strict";
const crypto = require("node:crypto");
const { assert, check, run, sleep, request, brief, Polling, wire, refusal, raw, upgradeHead, frame, closeCode, fixture, urls } = require("./harness");
const sio = fixture("sio", "/socket.io/");
const eio4 = fixture("eio4", "/engine.io/");
const eio3 = fixture("eio3", "/engine.io/");
const strict = fixture("eioclient", "/engine.io/"); // no CORS
const wsPath = "/engine.io/?EIO=4&transport=websocket";

async function joined(leaving) {
  const w = await wire(leaving, sio + "?EIO=4&transport=websocket");
  await w.next();
  w.send("40");
  await w.next();
  await w.next();
  return w;
}
async function closes(leaving, ...messages) {
  const w = await joined(leaving);
  for (const m of messages) w.send(m);
  const how = await Promise.race([w.closed, sleep(3000).then(() => "open")]);
  assert.notEqual(how, "open");
  return how;
}
async function stays(leaving, ...messages) {
  const w = await joined(leaving);
  for (const m of messages) w.send(m);
  w.send('427["join",[]]');
  for (let m; (m = await w.next()); ) if (m === "437[[]]") return;
}
// frames sends frames right behind the upgrade request, in the same segment.
async function frames(bytes) {
  const until = (data) => closeCode(data) !== 1006;
  const r = await raw(eio4, Buffer.concat([Buffer.from(upgradeHead(eio4, wsPath)), ...bytes]), { limit: 4000, until });
  return closeCode(r.data);
}

check("CVE-2017-16031: ids do not repeat and do not count", async () => {
  const ids = await Promise.all(Array.from({ length: 200 }, async () => (await Polling.open(strict)).sid));
  assert.equal(new Set(ids).size, 200);
  for (let at = 0; at < 20; at++) { // every place takes many values
    assert.ok(new Set(ids.map((id) => id[at])).size > 30, "place " + at);
  }
});
check("CVE-2020-28481, CVE-2019-13611: foreign origin", async () => {
  const headers = { Origin: "https://evil.example" };
  for (const path of [strict, fixture("sioclient", "/socket.io/")]) {
    const r = await request(path + "?EIO=4&transport=polling", { headers });
    assert.equal(r.status, 403);
    assert.equal(r.headers["access-control-allow-origin"], undefined);
    assert.match(await refusal(path + "?EIO=4&transport=websocket", { headers }), /^40[03] /);
  }
  const p = await Polling.open(strict);
  assert.equal((await p.post("4a", { headers })).status, 403);
});
check("CVE-2020-36048: floods of tiny packets", async () => {
  const p = await Polling.open(eio3, "EIO=3");
  assert.match(await p.post("1:2".repeat(1000000)).then(brief, (e) => "413 " + e.code), /^413/);
  const began = Date.now();
  for (const body of ["2\x1e".repeat(499999), "4\x1e".repeat(499999), "\x1e".repeat(999999)]) {
    const q = await Polling.open(eio4);
    await q.post(body).catch(() => {});
    assert.equal((await q.get()).status, 400);
  }
  const q3 = await Polling.open(eio3, "EIO=3");
  await q3.post("1:2".repeat(333333)).catch(() => {});
  assert.ok(Date.now() - began < 4000, `${Date.now() - began} ms`);
});
check("CVE-2020-36048: endless chunked body", async () => {
  const p = await Polling.open(eio4);
  const { pathname, search, host } = new URL(p.url);
  const chunk = Buffer.from("10000\r\n" + "a".repeat(65536) + "\r\n");
  const r = await raw(eio4, [`POST ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`, ...Array(40).fill(chunk)], { until: / 413 / });
  assert.match(r.data.toString(), /^HTTP\/1.1 413 /);
});
for (const [name, m] of [["ack id", "42" + "1".repeat(990000)], ["ack id with event", "42" + "9".repeat(400) + '["e"]'], ["attachments", "45" + "1".repeat(990000)],
  ["ack id above 2^53-1", '429007199254740992["e"]'], ["namespace", "40/" + "a".repeat(990000)], ["namespace of an event", "42/" + "a".repeat(990000)]]) {
  check("CVE-2020-36049: endless " + name, async (leaving) => {
    const w = await joined(leaving);
    const began = Date.now();
    w.send(m);
    const how = await Promise.race([w.closed, sleep(3000).then(() => "open")]);
    if (how === "open") assert.equal(how, "closed");
    assert.ok(Date.now() - began < 2500);
  });
}
check("CVE-2021-32640: blanks in Sec-WebSocket-Protocol", async () => {
  const r = await raw(eio4, upgradeHead(eio4, wsPath, `Sec-WebSocket-Protocol: b${" ".repeat(32000)}x\r\n`), { until: /\r\n\r\n/ });
  assert.match(r.data.toString(), /^HTTP\/1.1 (431|400|101) /);
});
for (const bit of [0x20, 0x10, 0x30, 0x40]) {
  check("CVE-2022-21676: reserved bit " + bit + " in the first frame", async () => {
    assert.equal(await frames([frame(0x81 | bit, "4a")]), 1002);
  });
}
check("CVE-2022-41940: invalid upgrades, then reset", async () => {
  for (let i = 0; i < 150; i++) {
    await raw(eio4, [upgradeHead(eio4, i % 2 ? "/engine.io/?EIO=4&transport=websocket&sid=no" : "/engine.io/?EIO=4&transport=x"), 0], { limit: 1 });
  }
  assert.equal((await request(eio4 + "?EIO=4&transport=polling")).status, 200);
});
for (const [q, wanted] of [["EIO=4&transport=foo", "Transport unknown"], ["EIO=4&transport=constructor", "Transport unknown"], ["EIO=4&transport=__proto__", "Transport unknown"],
  ["EIO=4&transport=", "Transport unknown"], ["EIO=4&transport=websocket&transport=foo", "Transport unknown"], ["EIO=4&EIO=3&transport=websocket", "Unsupported protocol version"],
  ["EIO[]=4&transport=websocket", "Unsupported protocol version"]]) {
  check("CVE-2023-31125: upgrade with " + q, async () => {
    const r = await raw(eio4, upgradeHead(eio4, "/engine.io/?" + q));
    assert.match(r.data.toString(), /^HTTP\/1.1 400 /);
    assert.equal(r.how, "closed");
    assert.ok(r.data.toString().includes(wanted), r.data.toString());
  });
}
check("plain GET of websocket", async () => {
  const r = await request(eio4 + "?EIO=4&transport=websocket");
  assert.equal(brief(r), '400 {"code":3,"message":"Bad request"}');
});
for (const num of ['"splice"', "-1", "1", "1.5", "null", "1e309", '"__proto__"']) {
  check("CVE-2022-2421: num " + num, (leaving) => closes(leaving, `451-["e",{"_placeholder":true,"num":${num}}]`, Buffer.from([1])).then(() => {}));
  check("CVE-2022-2421: in an ack, num " + num, (leaving) => closes(leaving, `461-0[{"_placeholder":true,"num":${num}}]`, Buffer.from([1])).then(() => {}));
}
for (const args of ['{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}', '{"_placeholder":true,"num":0},[{"num":0.0,"_placeholder":true}]', '{"_placeholder":1,"num":0}', '"x"']) {
  check("CVE-2022-2421: attachment not named once: " + args, (leaving) => closes(leaving, `451-["e",${args}]`, Buffer.from([1])).then(() => {}));
  check("CVE-2022-2421: in an ack, attachment not named once: " + args, (leaving) => closes(leaving, `461-0[${args}]`, Buffer.from([1])).then(() => {}));
}
for (const m of ['42[{"toString":"x"}]', "42[[]]", "42[null]", "42[]", "42{}", '42"x"', "42[true]", '42["connect"]', '42["connect_error"]', '42["disconnect"]', '42["disconnecting"]',
  '42["newListener"]', '42["removeListener"]', '42["\\u0063onnect"]']) {
  check("CVE-2023-32695, CVE-2024-38355: closes: " + m, (leaving) => closes(leaving, m).then(() => {}));
}
for (const m of ['42["error"]', "42[7,1]", '42["__proto__"]', '42["constructor",{"__proto__":{"a":1}}]', '42["prototype"]', '42["connection"]', "439[]", '43999999["x"]']) {
  check("CVE-2024-38355: stays open: " + m, (leaving) => stays(leaving, m));
}
check("CVE-2024-37890: too many headers", async () => {
  const many = Array.from({ length: 2000 }, (_, i) => `X-Header-Number-${i}: ${"v".repeat(600)}`).join("\r\n") + "\r\n";
  const r = await raw(eio4, upgradeHead(eio4, wsPath, many));
  assert.match(r.data.toString() || "HTTP/1.1 431 ", /^HTTP\/1.1 431 /);
});
for (const v of ["constructor", "; =", ";".repeat(8000), 'permessage-deflate; client_max_window_bits="', "permessage-deflate; server_max_window_bits=99999999999999999999", ","]) {
  check("GHSA-5v72-xg48-5rpm: Sec-WebSocket-Extensions " + v.slice(0, 60), async () => {
    for (const url of [eio4, fixture("deflate", "/engine.io/")]) {
      const r = await raw(url, upgradeHead(url, wsPath, `Sec-WebSocket-Extensions: ${v}\r\n`), { until: /\r\n\r\n/ });
      assert.match(r.data.toString("latin1"), /^HTTP\/1.1 (101|400) /);
    }
  });
}
for (const n of [2n ** 63n - 1n, 2n ** 63n, 2n ** 32n, 1000001n]) {
  check("CVE-2016-10542: frame announcing " + n, async () => {
    const code = await frames([frame(0x82, "", n)]);
    assert.ok(code === 1009 || (code === 1002 && n >= 2n ** 63n), String(code));
  });
}
for (const n of [0, 1, 125]) {
  check(`CVE-2016-10518: ping of ${n} bytes comes back as it was`, async (leaving) => {
    const w = await wire(leaving, eio4 + "?EIO=4&transport=websocket");
    const payload = crypto.randomBytes(n);
    const pong = new Promise((ok) => w.ws.on("pong", ok));
    w.ws.ping(payload);
    assert.deepEqual(await pong, payload);
  });
}
check("CVE-2016-10518: ping and close of 126 bytes", async () => {
  assert.equal(await frames([frame(0x89, Buffer.alloc(126))]), 1002);
  assert.equal(await frames([frame(0x88, Buffer.alloc(126))]), 1002);
});
check("CVE-2026-45736: close payloads of 0 and 1 byte, bad code, bad text", async () => {
  assert.ok([1005, 1000].includes(await frames([frame(0x88, "")])));
  assert.equal(await frames([frame(0x88, [3])]), 1002);
  assert.equal(await frames([frame(0x88, [3, 236])]), 1002); // 1004
  assert.equal(await frames([frame(0x88, [3, 232, 0xff])]), 1007);
});
check("CVE-2026-48779: one-byte fragments without end", async () => {
  const parts = [frame(0x01, "4")];
  for (let i = 0; i < 1100; i++) parts.push(frame(0x00, "a"));
  assert.ok([1008, 1009].includes(await frames(parts)));
});
check("CVE-2026-42786: empty continuation frames", async () => {
  const parts = [frame(0x01, "4")];
  for (let i = 0; i < 5000; i++) parts.push(frame(0x00, ""));
  assert.ok([1008, 1009].includes(await frames(parts)));
});
check("CVE-2026-48779: one byte per segment", async (leaving) => {
  const bytes = [];
  for (const b of frame(0x81, "4slow")) bytes.push(Buffer.from([b]), 1);
  const r = await raw(eio4, [upgradeHead(eio4, wsPath), 20, ...bytes], { until: /4slow/ });
  assert.equal(r.how, "matched");
});
check("CVE-2026-33151: more than ten attachments", async (leaving) => {
  for (const m of ['459999999-["x"]', '4511-["x"]', '4599999999999999999999-["x"]']) await closes(leaving, m);
});
check("CVE-2026-33151: text instead of an attachment", (leaving) => closes(leaving, '451-["x",{"_placeholder":true,"num":0}]', '42["x"]').then(() => {}));
check("CVE-2026-33151: attachment without a packet", (leaving) => closes(leaving, Buffer.from([1])).then(() => {}));
check("CVE-2026-33151: missing attachments end after 10 s", async (leaving) => {
  const w = await joined(leaving);
  w.send('451-["x",{"_placeholder":true,"num":0}]');
  const began = Date.now();
  await w.closed;
  const took = Date.now() - began;
  assert.ok(took > 9500 && took < 12500, `${took} ms`);
}, 15000);
check("engine.io 6.6.7: wrong content type closes", async () => {
  const p = await Polling.open(eio4);
  assert.equal((await p.post("4", { headers: { "Content-Type": "application/octet-stream" } })).status, 400);
  assert.equal((await p.get()).status, 400);
});
check("CVE-2026-48802: unsolicited pongs", async (leaving) => {
  const w = await joined(leaving);
  for (let i = 0; i < 5000 && w.ws.readyState === 1; i++) w.send("3");
  await Promise.race([w.closed, sleep(300)]);
  assert.equal((await request(sio + "?EIO=4&transport=polling")).status, 200);
});
check("GO-2026-6089: very many query parameters and cookies", async () => {
  const q = Array.from({ length: 12000 }, (_, i) => "a" + i).join("&");
  for (const r of [await request(`${eio4}?EIO=4&transport=polling&${q}`), await request(eio4 + "?EIO=4&transport=polling", { headers: { Cookie: Array.from({ length: 12000 }, (_, i) => `a${i}=b`).join("; ") } })]) {
    assert.ok([200, 400, 414, 431].includes(r.status), String(r.status));
  }
});

// Rows of section 4 that raw sockets show.
check("4-5: many packets in a payload", async () => {
  const p = await Polling.open(eio4);
  assert.equal((await p.post(Array(1001).fill("4a").join("\x1e"))).status, 200);
  let echoes = 0;
  while (echoes < 1001) {
    const r = await p.get();
    assert.equal(r.status, 200);
    echoes += r.body.split("\x1e").filter((m) => m === "4a").length;
  }
});
check("4-12: a flood of unknown namespaces", async (leaving) => {
  const w = await joined(leaving);
  for (let i = 0; i < 200; i++) w.send("40/unknown" + i);
  let errors = 0;
  for (let m; (m = await w.next().catch(() => null)); ) errors += m.startsWith("44/");
  assert.ok(errors >= 16 && errors <= 40, errors + " answers"); // the last may be lost in the close
});
for (const m of ["40[]", '40"a"', "40null", "401", "40{"]) {
  check("4-13: CONNECT with " + m, async (leaving) => {
    const w = await wire(leaving, sio + "?EIO=4&transport=websocket");
    await w.next();
    w.send(m);
    if (m !== "401") await w.closed;
  });
}
check("4-13: auth of 9 KB, auth that is deep", async (leaving) => {
  for (const auth of [JSON.stringify({ a: "x".repeat(9000) }), '{"a":' + "[".repeat(40) + "]".repeat(40) + "}"]) {
    const w = await wire(leaving, sio + "?EIO=4&transport=websocket");
    await w.next();
    w.send("40" + auth);
    const m = await w.next().catch(() => "closed");
    assert.match(m, /^(44|closed)/);
  }
});
check("4-20: invalid UTF-8", async () => {
  assert.equal(await frames([frame(0x81, [0x34, 0xff, 0xfe])]), 1007);
  assert.equal(await frames([frame(0x01, [0x34, 0xe2, 0x82]), frame(0x80, [0x41])]), 1007);
  const p = await Polling.open(eio4);
  const r = await p.post(Buffer.from([0x34, 0xff, 0xfe])).catch(() => null);
  if (r && r.status === 200) assert.equal((await p.get()).status, 400);
});
for (const [name, json] of [["depth", "[".repeat(50000)], ["closed depth", "[".repeat(40) + "]".repeat(40)], ["number out of range is text", null]]) {
  if (json) check("4-22: " + name, (leaving) => closes(leaving, `42["e",${json}]`).then(() => {}));
}
for (const m of ['42["e",1e999999]', '42["e","\\ud800"]', '42["e",{"a":1,"a":2}]', `42["e",{${Array.from({ length: 20000 }, (_, i) => `"k${i}":0`)}}]`]) {
  check("4-22: stays open: " + m.slice(0, 40), (leaving) => stays(leaving, m));
}
for (const sid of ["*", "{}", "a".repeat(20), "%0d%0aX:%20y", "x".repeat(6000), "constructor"]) {
  check("4-23: sid " + sid.slice(0, 20), async () => {
    assert.equal(brief(await request(`${eio4}?EIO=4&transport=polling&sid=${sid}`)), '400 {"code":1,"message":"Session ID unknown"}');
  });
}
check("unmasked frame", async () => {
  assert.equal(await frames([Buffer.from([0x81, 0x02, 0x34, 0x61])]), 1002);
});
for (const [name, first] of [["continuation first", 0x80], ["opcode 3", 0x83], ["opcode 11", 0x8b], ["fragmented ping", 0x09]]) {
  check("frame: " + name, async () => assert.equal(await frames([frame(first, "4a")]), 1002));
}
check("upgrade without key, with another version", async () => {
  const { host } = new URL(eio4);
  const h = (more) => raw(eio4, `GET ${wsPath} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${more}\r\n`, { until: /\r\n\r\n/ });
  assert.match((await h("Sec-WebSocket-Version: 13\r\n")).data.toString(), /^HTTP\/1.1 400 /);
  assert.match((await h("Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")).data.toString(), /^HTTP\/1.1 4(00|26) /);
  assert.match((await h("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n")).data.toString(), /^HTTP\/1.1 400 /);
});
check("last: everything still answers", async (leaving) => {
  await sleep(100);
  await stays(leaving);
  for (const url of [eio4, strict, sio]) assert.equal((await request(url + "?EIO=4&transport=polling")).status, 200);
});
run(16);
