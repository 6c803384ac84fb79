// Records transcripts.json: what the real engine.io package answers to
// scenarios.json. Run with the directory of this file as the working directory:
//   NODE_PATH=<node_modules of internal/interop/node> node record.js
"use strict";
const fs = require("fs"), http = require("http"), net = require("net"), zlib = require("zlib");
const { Server } = require("engine.io");
const WebSocket = require("ws");

const HEADERS = ["content-type", "content-length", "cache-control", "content-encoding", "set-cookie", "vary", "x-xss-protection",
  "access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-methods", "access-control-allow-headers",
  "access-control-expose-headers", "access-control-max-age"];

function pick(h) {
  const out = {};
  for (const k of HEADERS) if (h[k] !== undefined) out[k] = Array.isArray(h[k]) ? h[k].join("; ") : h[k];
  return out;
}
const sleep = ms => new Promise(r => setTimeout(r, ms));
const pad = s => (s.body || s.text || "") + "x".repeat(s.pad || 0);

function request(port, s, method, query) {
  const path = query.startsWith("/") ? query : "/engine.io/?" + query;
  const body = s.bodyb64 !== undefined ? Buffer.from(s.bodyb64, "base64") : Buffer.from(pad(s));
  const headers = Object.assign({ Connection: "close" }, s.headers);
  if (method === "POST") {
    if (!headers["Content-Type"]) headers["Content-Type"] = "text/plain;charset=UTF-8";
    if (!s.chunked) headers["Content-Length"] = s.partial || body.length;
  }
  let req;
  const done = new Promise(resolve => {
    req = http.request({ port, host: "127.0.0.1", method, path, headers, agent: false }, res => {
      const chunks = [];
      res.on("data", c => chunks.push(c));
      res.on("end", () => {
        let b = Buffer.concat(chunks);
        const h = pick(res.headers);
        if (h["content-encoding"]) {
          b = h["content-encoding"] === "gzip" ? zlib.gunzipSync(b) : zlib.inflateSync(b);
          delete h["content-length"];
        }
        const out = { status: res.statusCode, headers: h };
        if (h["content-type"] === "application/octet-stream") out.bodyb64 = b.toString("base64"); else out.body = b.toString();
        resolve(out);
      });
      res.on("error", () => resolve({ lost: true }));
    });
    req.on("error", () => resolve({ lost: true }));
    if (s.chunked) { req.write(body.subarray(0, 10)); setTimeout(() => req.end(body.subarray(10)), 20); }
    else if (s.partial) req.write(body);
    else req.end(method === "POST" ? body : undefined);
  });
  return { done, drop: () => req.destroy() };
}

function openWS(port, s) {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/engine.io/?${s.ws}`, { headers: s.headers, perMessageDeflate: false, skipUTF8Validation: true });
  const got = [], waiting = [];
  const push = x => waiting.length ? waiting.shift()(x) : got.push(x);
  ws.on("message", (d, bin) => push(bin ? { binary: d.toString("base64") } : { text: d.toString() }));
  ws.on("close", code => push({ close: code }));
  ws.on("error", () => {});
  const open = new Promise(resolve => {
    ws.on("upgrade", res => resolve({ status: 101, headers: pick(res.headers) }));
    ws.on("unexpected-response", (req, res) => {
      const chunks = [];
      res.on("data", c => chunks.push(c));
      res.on("end", () => resolve({ status: res.statusCode, headers: pick(res.headers), body: Buffer.concat(chunks).toString() }));
    });
  });
  return { ws, open, recv: () => got.length ? Promise.resolve(got.shift()) : new Promise(r => waiting.push(r)),
    ready: () => new Promise(r => ws.readyState === 1 ? r() : ws.on("open", r)), drop: () => ws._socket.destroy() };
}

async function run(sc) {
  const o = Object.assign({}, sc.server);
  if ("deny" in o) { const m = o.deny; delete o.deny; o.allowRequest = (req, cb) => cb(m || null, false); }
  const httpServer = http.createServer();
  const engine = new Server(o);
  engine.attach(httpServer, { path: "/engine.io" });
  let socket, reason;
  engine.on("connection", s => {
    socket = s; reason = undefined;
    if (sc.app === "greet") { s.send("one"); s.send("two"); }
    if (sc.app === "big") s.send("a".repeat(2000));
    if (sc.app === "bigplain") s.send("a".repeat(2000), { compress: false });
    if (sc.app === "jsonp") s.send("\u2028 \"q\" \\ \n é");
    s.on("message", m => s.send(m));
    s.on("close", r => { reason = r; });
  });
  await new Promise(r => httpServer.listen(0, "127.0.0.1", r));
  const port = httpServer.address().port;
  let sid = "";
  const names = {}, out = [];
  const clean = x => {
    const m = JSON.stringify(x).match(/sid\\*":\\*"([\w-]{20})/);
    if (m) sid = m[1];
    return sid ? JSON.parse(JSON.stringify(x).split(sid).join("$sid")) : x;
  };
  for (const step of sc.steps) {
    const s = JSON.parse(JSON.stringify(step).split("$sid").join(sid));
    const q = s.get || s.post || s.to;
    if (q !== undefined) {
      const r = request(port, s, s.req || (s.get !== undefined ? "GET" : "POST"), q);
      if (s.async) { names[s.async] = r; continue; }
      out.push(clean(await r.done));
    } else if (s.await) out.push(clean(await names[s.await].done));
    else if (s.drop) names[s.drop].drop();
    else if (s.wait) await sleep(s.wait);
    else if (s.ws) { names[s.as] = openWS(port, s); out.push(await names[s.as].open); }
    else if (s.send) {
      await names[s.send].ready();
      names[s.send].ws.send(s.binary !== undefined ? Buffer.from(s.binary, "base64") : pad(s));
    } else if (s.recv) out.push(clean(await names[s.recv].recv()));
    else if (s.close) names[s.close].ws.close(s.code);
    else if (s.reason) { await sleep(10); out.push({ reason: reason || "" }); }
    else if (s.app === "send") socket.send(s.data);
    else if (s.app === "close") socket.close();
    else if (s.app === "discard") socket.close(true);
    else throw new Error("step " + JSON.stringify(s));
  }
  for (const n of Object.values(names)) { if (n.ws) n.ws.terminate(); else n.drop(); }
  engine.close();
  httpServer.closeAllConnections();
  httpServer.close();
  return { name: sc.name, out };
}

(async () => {
  const all = [];
  const guard = n => setTimeout(() => { console.error("stuck in", n); process.exit(1); }, 8000);
  for (const sc of JSON.parse(fs.readFileSync("scenarios.json"))) {
    const t = guard(sc.name);
    all.push(await run(sc));
    clearTimeout(t);
  }
  fs.writeFileSync("transcripts.json", "[\n" + all.map(t =>
    `{"name":${JSON.stringify(t.name)},"out":[\n` + t.out.map(o => " " + JSON.stringify(o)).join(",\n") + "]}").join(",\n") + "\n]\n");
  process.exit(0);
})();
