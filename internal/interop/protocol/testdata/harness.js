// What all scripts share: checks that run side by side, and the smallest possible
// clients for HTTP polling, WebSocket and bare TCP. A check asserts what the protocol
// says and returns what it saw; protocol_test.go compares that with another server's.
"use strict";
const assert = require("node:assert/strict");
const http = require("node:http");
const net = require("node:net");
const WebSocket = require("ws");

const urls = JSON.parse(process.argv[2]); // fixture name → http://127.0.0.1:port
const only = process.env.POSTHOUSE_CHECKS; // a JSON list of names, to run only these
// Beside servers of other origin (behaviours_test.go) an id may be longer, and the keys of
// the open packet may have another order: that is one behaviour, which one check demands.
const peers = process.env.POSTHOUSE_PEERS !== undefined;
const ID = peers ? "[\\w-]{16,}" : "[\\w-]{20}";
const checks = [];

function check(name, fn, limit = 5000) {
  if (!only || JSON.parse(only).includes(name)) checks.push({ name, fn, limit });
}

// A busy machine can make a check late; ours is wrong only if it is so every time.
async function runOne(c) {
  let result;
  for (let attempt = 0; attempt < 2; attempt++) {
    result = await attemptOne(c);
    if (result.error === undefined) break;
  }
  // Ids are random: only that there is one can be compared.
  let line = JSON.stringify(result).replace(new RegExp(`((?:sid|pid)\\\\*":\\\\*")${ID}`, "g"), "$1<id>");
  if (peers) line = line.replace(/\{(\\+")[^{}]*pingInterval[^{}]*\}/g, inOrder);
  process.stdout.write(line + "\n");
}

// inOrder sorts the keys of an open packet whose quotes are escaped once or more.
function inOrder(json, quote) {
  try {
    const o = JSON.parse(json.replaceAll(quote, '"'));
    return JSON.stringify(Object.fromEntries(Object.entries(o).sort())).replaceAll('"', quote);
  } catch {
    return json; // an excerpt in the text of an error
  }
}

async function attemptOne({ name, fn, limit }) {
  const leaving = [];
  const result = { name };
  let timer;
  try {
    const late = new Promise((_, no) => {
      timer = setTimeout(() => no(new Error(`not done after ${limit} ms`)), limit);
    });
    result.seen = await Promise.race([fn((f) => leaving.push(f)), late]);
  } catch (e) {
    result.error = String(e.message || e);
  }
  clearTimeout(timer);
  for (const leave of leaving) {
    try { leave(); } catch {}
  }
  return result;
}

async function run(lanes = 8) {
  if (process.env.POSTHOUSE_LIST !== undefined) { // only tell their names
    for (const { name } of checks) process.stdout.write(JSON.stringify({ name }) + "\n");
    return;
  }
  const queue = checks.slice();
  await Promise.all(Array.from({ length: lanes }, async () => {
    for (let c; (c = queue.shift()); ) await runOne(c);
  }));
  process.exit(0);
}

const sleep = (ms) => new Promise((ok) => setTimeout(ok, ms));

// request does one HTTP request on a connection of its own.
function request(url, { method = "GET", headers = {}, body, signal } = {}) {
  return new Promise((ok, no) => {
    const req = http.request(url, { method, headers, agent: false, signal }, (res) => {
      const parts = [];
      res.on("data", (d) => parts.push(d));
      res.on("error", no);
      res.on("end", () => {
        const raw = Buffer.concat(parts);
        ok({ status: res.statusCode, headers: res.headers, rawHeaders: res.rawHeaders, raw, body: raw.toString() });
      });
    });
    req.on("error", no);
    req.end(body);
  });
}

const brief = (r) => `${r.status} ${r.body}`;

// Polling is one session over polling.
class Polling {
  constructor(base, query = "EIO=4") {
    this.url = `${base}?transport=polling&${query}`;
  }
  static async open(base, query) {
    const p = new Polling(base, query);
    p.first = await request(p.url);
    assert.equal(p.first.status, 200, "handshake: " + brief(p.first));
    const text = p.first.body;
    p.handshake = JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1));
    p.sid = p.handshake.sid;
    p.url += "&sid=" + p.sid;
    return p;
  }
  get(o) { return request(this.url, o); }
  post(body, o = {}) {
    return request(this.url, { method: "POST", body, headers: { "Content-Type": "text/plain;charset=UTF-8" }, ...o });
  }
  async send(body, o) {
    const r = await this.post(body, o);
    assert.equal(brief(r), "200 ok");
  }
  async poll(wanted) {
    const r = await this.get();
    assert.equal(r.status, 200, brief(r));
    if (wanted !== undefined) assert.equal(r.body, wanted);
    return r.body;
  }
}

// Wire is one WebSocket. Messages wait until next() takes them.
class Wire {
  constructor(url, options = {}) {
    this.queue = [];
    this.takers = [];
    this.ws = new WebSocket(url.replace(/^http/, "ws"), options.protocols || [], { perMessageDeflate: false, ...options });
    this.ws.on("message", (data, binary) => this.put(binary ? data : data.toString()));
    this.ws.on("error", () => {});
    this.refused = new Promise((ok) => {
      this.ws.on("unexpected-response", (_, res) => {
        let body = "";
        res.on("data", (d) => (body += d));
        res.on("end", () => ok({ status: res.statusCode, headers: res.headers, body }));
        res.on("error", () => ok({ status: res.statusCode, headers: res.headers, body }));
      });
    });
    this.upgraded = new Promise((ok) => this.ws.on("upgrade", ok));
    this.opened = new Promise((ok) => this.ws.on("open", ok));
    this.closed = new Promise((ok) => this.ws.on("close", (code) => ok(code)));
    this.closed.then((code) => {
      this.gone = true;
      for (const t of this.takers.splice(0)) t.no(new Error("closed " + code));
    });
  }
  put(m) {
    const t = this.takers.shift();
    if (t) t.ok(m);
    else this.queue.push(m);
  }
  next() {
    if (this.queue.length) return Promise.resolve(this.queue.shift());
    if (this.gone) return Promise.reject(new Error("closed"));
    return new Promise((ok, no) => this.takers.push({ ok, no }));
  }
  send(m) { this.ws.send(m); }
  async expect(wanted) { assert.deepEqual(await this.next(), wanted); }
  leave() { this.ws.terminate(); }
}

async function wire(leaving, url, options) {
  const w = new Wire(url, options);
  leaving(() => w.leave());
  await Promise.race([w.opened, w.closed.then((code) => assert.fail("not opened: " + code)),
    w.refused.then((r) => assert.fail("refused: " + brief(r)))]);
  return w;
}

// refusal is how a WebSocket that must not open ends.
async function refusal(url, options) {
  const w = new Wire(url, options);
  const answer = await Promise.race([w.refused.then(brief), w.opened.then(() => w.closed).then((c) => "closed " + c), w.closed.then((c) => "closed " + c)]);
  w.leave();
  return answer;
}

// raw writes bytes to a TCP connection and returns what came until its end, or
// until `until` matches.
function raw(base, bytes, { until, limit = 3000, half = false } = {}) {
  const { port } = new URL(base);
  return new Promise((ok) => {
    const c = net.connect(port, "127.0.0.1");
    const parts = [];
    const began = process.hrtime.bigint();
    let done = false;
    const end = (how) => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      c.destroy();
      ok({ how, ms: Number(process.hrtime.bigint() - began) / 1e6, data: Buffer.concat(parts) });
    };
    const timer = setTimeout(() => end("silent"), limit);
    c.on("error", (e) => end(e.code));
    c.on("close", () => end("closed"));
    c.on("data", (d) => {
      parts.push(d);
      const all = until && Buffer.concat(parts);
      if (until && (until instanceof RegExp ? until.test(all.toString("latin1")) : until(all))) end("matched");
    });
    c.on("connect", async () => {
      for (const b of Array.isArray(bytes) ? bytes : [bytes]) {
        if (typeof b === "number") await sleep(b);
        else if (!c.destroyed) c.write(b);
      }
      if (half) c.end();
    });
  });
}

const upgradeHead = (base, pathAndQuery, more = "") =>
  `GET ${pathAndQuery} HTTP/1.1\r\nHost: ${new URL(base).host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`;

// frame makes a client's WebSocket frame with a zero mask.
function frame(first, payload, announced) {
  payload = Buffer.from(payload);
  const n = announced ?? payload.length;
  let head;
  if (n < 126) head = Buffer.from([first, 0x80 | Number(n)]);
  else if (n < 65536) head = Buffer.from([first, 0xfe, Number(n) >> 8, Number(n) & 255]);
  else {
    head = Buffer.alloc(10);
    head[0] = first;
    head[1] = 0xff;
    head.writeBigUInt64BE(BigInt(n), 2);
  }
  return Buffer.concat([head, Buffer.alloc(4), payload]);
}

// closeCode finds the code of the close frame in what a server sent after its 101.
function closeCode(data) {
  let rest = data.subarray(data.indexOf("\r\n\r\n") + 4);
  while (rest.length >= 2) {
    let n = rest[1] & 127, at = 2;
    if (n === 126) { n = rest.readUInt16BE(2); at = 4; }
    if (n === 127) { n = Number(rest.readBigUInt64BE(2)); at = 10; }
    if ((rest[0] & 15) === 8) return n >= 2 ? rest.readUInt16BE(at) : 1005;
    rest = rest.subarray(at + n);
  }
  return 1006;
}

function fixture(name, path) {
  return urls[name] && urls[name] + path;
}

const once = (emitter, event) => new Promise((ok) => emitter.once(event, (...args) => ok(args)));

module.exports = { assert, check, run, sleep, request, brief, Polling, Wire, wire, refusal, raw, upgradeHead, frame, closeCode, fixture, once, urls, ID };
