// Records what the real Node server answers, for TestNodeTranscripts:
//   NODE_PATH=../../internal/interop/node/node_modules node record.js > transcripts.json
// Each step is something sent ("> text", ">b hex") or received ("< text", "<b hex");
// "close" is the end of the connection. Random ids are written <id>.
"use strict";
const { createServer } = require("http");
const { Server } = require("socket.io");
const WebSocket = require("ws");

function fixture(io) {
  io.on("connection", (s) => {
    s.on("echo", (...args) => s.emit("echo", ...args));
    s.on("ack", (...args) => { const cb = args.pop(); cb(...args); });
    s.on("ack none", (cb) => cb());
    s.on("ack twice", (cb) => { cb(1); cb(2); });
    s.on("values", () => s.emit("values", 1, -1.5, 1e21, 1e-7, "a\"b\\c\n\u2028é😀<&>", null, true, [], {}, { b: 1, a: [2] }));
    s.on("binary", () => s.emit("binary", Buffer.from([1, 2]), { deep: [Buffer.from([3])] }, "x"));
    s.on("ask", () => s.emit("question", 1, (a) => s.emit("answered", a)));
    s.on("kick", () => s.disconnect());
    s.on("kick all", () => s.disconnect(true));
    s.on("join", (room) => { s.join(room); io.to(room).emit("joined", room); });
    s.on("many", () => { s.emit("one"); io.emit("two"); s.emit("three"); });
  });
  io.of("/chat").on("connection", (s) => {
    s.emit("welcome", s.nsp.name);
    s.on("ack", (v, cb) => cb(v));
  });
  io.of("/no").use((s, next) => next(new Error("refused")));
  io.of("/data").use((s, next) => { const e = new Error("refused"); e.data = { code: 7 }; next(e); });
  io.of("/auth").on("connection", (s) => s.emit("auth", s.handshake.auth));
  io.of(/^\/dyn-\d+$/).on("connection", (s) => s.emit("hello from", s.nsp.name));
}

// "<" waits for one message; "." is the end of the script, where nothing else may have come.
const scripts = {
  "connect": ["> 40", "<"],
  "connect with auth": ["> 40/auth,{\"token\":\"a\",\"n\":[1,2]}", "<", "<"],
  "connect without auth": ["> 40/auth", "<", "<"],
  "connect to an unknown namespace": ["> 40/nope,", "<"],
  "connect refused": ["> 40/no,", "<"],
  "connect refused with data": ["> 40/data,", "<", "> 40", "<"],
  "dynamic namespace": ["> 40/dyn-1,", "<", "<", "> 40/dyn-x,", "<"],
  "namespace with a query is another name": ["> 40/chat?x=1,", "<"],
  "echo": ["> 40", "<", "> 42[\"echo\",1,\"2\",{\"3\":[true,null]}]", "<", "> 42[\"echo\"]", "<"],
  "ack": ["> 40", "<", "> 42456[\"ack\",1,\"2\",{\"3\":[false]}]", "<", "> 420[\"ack none\"]", "<", "> 421[\"ack twice\"]", "<", "> 4212[\"ack\",null]", "<"],
  "values": ["> 40", "<", "> 42[\"values\"]", "<"],
  "binary out": ["> 40", "<", "> 42[\"binary\"]", "<", "<", "<"],
  "binary in and out": ["> 40", "<", "> 452-[\"echo\",{\"_placeholder\":true,\"num\":0},{\"a\":{\"_placeholder\":true,\"num\":1}}]", ">b 0102", ">b ff", "<", "<", "<"],
  "binary ack": ["> 40", "<", "> 451-7[\"ack\",{\"_placeholder\":true,\"num\":0}]", ">b 00", "<", "<"],
  "ack of the server": ["> 40", "<", "> 42[\"ask\"]", "<", "> 430[\"yes\",\"more\"]", "<", "> 430[\"again\"]", "> 42[\"ask\"]", "<", "> 431[]", "<"],
  "two namespaces": ["> 40", "<", "> 40/chat,", "<", "<", "> 42/chat,5[\"ack\",\"x\"]", "<", "> 41/chat,", "> 42[\"echo\",1]", "<"],
  "disconnected by the server": ["> 40", "<", "> 40/chat,", "<", "<", "> 42[\"kick\"]", "<", "> 42/chat,1[\"ack\",1]", "<"],
  "disconnected with the connection": ["> 40", "<", "> 40/chat,", "<", "<", "> 42[\"kick all\"]", "<", "<", "close"],
  "rooms": ["> 40", "<", "> 42[\"join\",\"r\"]", "<"],
  "order of emits and broadcasts": ["> 40", "<", "> 42[\"many\"]", "<", "<", "<"],
  "leave and come again": ["> 40", "<", "> 41", "wait", "> 40", "<"],
  "event before connect": ["> 42[\"echo\"]", "close"],
  "connect twice": ["> 40", "<", "> 40", "close"],
  "reserved event": ["> 40", "<", "> 42[\"disconnect\"]", "close"],
  "unknown type": ["> 40", "<", "> 47", "close"],
  "event that is an object": ["> 40", "<", "> 42{}", "close"],
  "disconnect with payload": ["> 40", "<", "> 41{}", "close"],
  "unknown ack": ["> 40", "<", "> 4399[1]", "> 43", "> 42", "> 42[\"echo\",1]", "<"],
  "revision 3: connect": ["v3", "<"],
  "revision 3: namespaces": ["v3", "<", "> 40/auth?token=a&x=%201,", "<", "<", "> 40/chat", "<", "<", "> 42/chat,5[\"ack\",\"x\"]", "<"],
  "revision 3: errors": ["v3", "<", "> 40/no", "<", "> 40/data", "<", "> 40/nope", "<"],
  "revision 3: events": ["v3", "<", "> 421[\"ack\",{\"a\":1}]", "<", "> 42[\"echo\",1]", "<"],
  "revision 3: connect to the main namespace": ["v3", "<", "> 40", "close"],
  "revision 3: kick": ["v3", "<", "> 42[\"kick\"]", "<"],
};

async function play(port, script) {
  const v3 = script[0] === "v3";
  const ws = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=${v3 ? 3 : 4}&transport=websocket`);
  const inbox = [];
  let wake = () => {};
  let closed = false;
  ws.on("message", (data, binary) => {
    const text = binary ? `<b ${(v3 ? data.subarray(1) : data).toString("hex")}` : `< ${data.toString()}`;
    if (text === "< 2") return ws.send("3");
    inbox.push(text);
    wake();
  });
  ws.on("close", () => { closed = true; wake(); });
  const next = async () => {
    const deadline = Date.now() + 3000;
    while (!inbox.length && !closed && Date.now() < deadline) await new Promise((r) => { wake = r; setTimeout(r, 50); });
    return inbox.shift() || (closed ? "close" : "nothing");
  };
  const open = await next();
  const sid = JSON.parse(open.slice(3)).sid;
  const mask = (t) => t.replace(sid, "<sid>").replace(/"sid":"[^"]{20}"/, '"sid":"<id>"');
  const steps = [];
  for (const step of script) {
    if (step === "v3") { steps.push(step); continue; }
    if (step === "wait") { await new Promise((r) => setTimeout(r, 50)); continue; } // Node would close: it handles 41 a tick late
    if (step.startsWith("> ")) { ws.send(step.slice(2)); steps.push(step); continue; }
    if (step.startsWith(">b ")) { ws.send(Buffer.from(step.slice(3), "hex")); steps.push(step); continue; }
    steps.push(mask(await next()));
  }
  await new Promise((r) => setTimeout(r, 50));
  if (inbox.length) steps.push(...inbox.map((t) => "EXTRA " + t));
  ws.close();
  return steps;
}

(async () => {
  const http = createServer();
  const io = new Server(http, { allowEIO3: true });
  fixture(io);
  await new Promise((r) => http.listen(0, "127.0.0.1", r));
  const out = {};
  for (const [name, script] of Object.entries(scripts)) out[name] = await play(http.address().port, script);
  console.log(JSON.stringify({ server: "socket.io " + require("socket.io/package.json").version, transcripts: out }, null, 1));
  io.close();
  process.exit(0);
})();
