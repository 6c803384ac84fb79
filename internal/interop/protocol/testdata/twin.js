// The same fixtures as examples/conformance and extras_test.go, on the Node server: what it
// does is what a Go server is compared with. Prints its URLs, ends with its standard input.
"use strict";
const http = require("node:http");
const engine = require("engine.io");
const { Server } = require("socket.io");
const short = { pingInterval: 300, pingTimeout: 200, maxHttpBufferSize: 1000000 };

function listen(attach) {
  return new Promise((ok) => {
    const srv = http.createServer((_, res) => res.writeHead(404).end());
    attach(srv);
    srv.listen(0, "127.0.0.1", () => ok(`http://127.0.0.1:${srv.address().port}`));
  });
}
const echo = (io) => io.on("connection", (s) => s.on("message", (m) => s.send(m)));

function eioclient(srv) {
  let headers = {};
  const io = engine.attach(srv, {
    pingInterval: 500, maxHttpBufferSize: 100,
    allowRequest: (req, cb) => cb(null, req._query.deny === undefined),
  });
  io.use((req, res, next) => {
    if (req.method === "POST") headers[req._query.sid] = req.headers;
    next();
  });
  io.on("initial_headers", (h) => {
    h["Set-Cookie"] = ["1=1; Max-Age=86400", "2=2; Path=/; HttpOnly; Secure; SameSite=Strict", "3=3; Max-Age=0", "4=4; Expires=" + new Date().toUTCString()];
  });
  io.on("connection", (s) => {
    s.send("hi");
    s.on("message", (m) => {
      if (m === "give binary") s.send(Buffer.from([0, 1, 2, 3, 4]));
      else if (m === "give utf8") s.send("пойду спать всем спокойной ночи");
      else if (m === "sendHeaders") s.send(JSON.stringify(headers[s.id]));
      else s.send(m);
    });
  });
}

function sio5(srv) {
  const io = new Server(srv, { ...short, connectTimeout: 1000, cors: { origin: "*" } });
  const greet = (s) => s.emit("auth", s.handshake.auth);
  io.on("connection", (s) => {
    greet(s);
    s.on("message", (...args) => s.emit("message-back", ...args));
    s.on("message-with-ack", (...args) => args.pop()(...args));
  });
  io.of("/custom").on("connection", greet);
}

function sioclient(srv) {
  const io = new Server(srv, { pingInterval: 2000, connectionStateRecovery: {}, allowRequest: (_, cb) => setTimeout(cb, 10, null, true) });
  io.use((s, next) => next(s.handshake.query.fail ? new Error("Auth failed (main namespace)") : undefined));
  io.of("/no").use((_, next) => next(new Error("Auth failed (custom namespace)")));
  io.of("/foo").on("connection", (s) => s.on("getId", (cb) => cb(s.id)));
  for (const n of ["/timeout_socket", "/valid", "/asd"]) io.of(n);
  io.of("/abc").on("connection", (s) => s.emit("handshake", s.handshake));
  const isMessage = (o) => o.hello === "lol" && Buffer.isBuffer(o.message) && o.goodbye === "gotcha";
  io.on("connection", (s) => {
    const bytes = Buffer.from("asdfasdf");
    s.on("hi", () => s.emit("hi"));
    s.on("echo", (v, cb) => cb(v));
    s.on("ack", () => s.emit("ack", (a, b) => a === 5 && b.test && s.emit("got it")));
    s.on("getAckDate", (_, cb) => cb(new Date()));
    s.on("getDate", () => s.emit("takeDate", new Date()));
    s.on("getDateObj", () => s.emit("takeDateObj", { date: new Date() }));
    s.on("getUtf8", () => ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"].forEach((t) => s.emit("takeUtf8", t)));
    s.on("false", () => s.emit("false", false));
    s.on("doge", () => s.emit("doge", bytes));
    s.on("getbin", () => s.emit("takebin", bytes));
    s.on("buffa", (a) => Buffer.isBuffer(a) && s.emit("buffack"));
    s.on("jsonbuff", (o) => isMessage(o) && s.emit("jsonbuff-ack"));
    s.on("jsonblob", (o) => isMessage(o) && s.emit("jsonblob-ack"));
    s.on("abuff1", (a) => Buffer.isBuffer(a) && s.on("abuff2", () => s.emit("abuff2-ack")));
    s.on("blob", (a) => Buffer.isBuffer(a) && s.emit("back"));
    let blobs = 0;
    s.on("blob1", (a) => (blobs = Buffer.isBuffer(a) ? 1 : 0));
    s.on("blob2", (a) => (blobs += blobs === 1 && a === "second" ? 1 : 0));
    s.on("blob3", (a) => blobs === 2 && Buffer.isBuffer(a) && s.emit("blob3-ack"));
    s.on("getHandshake", (cb) => cb(s.handshake));
    s.on("getId", (cb) => cb(s.id));
  });
}

(async () => {
  const urls = {
    eio4: await listen((srv) => echo(engine.attach(srv, { ...short, cors: { origin: "*" } }))),
    eio3: await listen((srv) => echo(engine.attach(srv, { ...short, cors: { origin: "*" }, allowEIO3: true }))),
    sio5: await listen(sio5),
    sioclient: await listen(sioclient),
    eioclient: await listen(eioclient),
  };
  try {
    Object.assign(urls, await require("./twin_extras")(listen));
  } catch (e) {
    if (e.code !== "MODULE_NOT_FOUND") throw e;
  }
  console.log(JSON.stringify(urls));
  process.stdin.on("end", () => process.exit(0)).resume();
})();
