// extras_test.go on the Node server.
"use strict";
const engine = require("engine.io");
const { Server } = require("socket.io");
const log = new Map();
const add = (tag, line) => log.set(tag, [...(log.get(tag) || []), line]);

function engineEvents(io) {
  io.on("connection", (s) => {
    const { tag, greet } = s.request._query; // _query of the first request
    if (greet !== undefined) s.send("greeting");
    s.on("close", (reason) => add(tag, "closed " + reason));
    s.on("upgrade", (t) => add(tag, "upgraded " + t.name));
    s.on("message", (m) => {
      switch (String(m)) {
        case "big": return s.send("a".repeat(3000));
        case "big, uncompressed": return s.send("a".repeat(3000), { compress: false });
        case "close":
          ["a", "b", "c"].forEach((t) => s.send(t));
          s.close();
          return s.send("late");
        case "discard":
          s.send("a");
          return s.close(true);
        case "callbacks": return ["m1", "m2", "m3"].forEach((t) => s.send(t, {}, () => add(tag, "sent " + t)));
        default:
          add(tag, "got " + m);
          s.send(m);
      }
    });
  });
  return io;
}

function hooks(srv) {
  const io = engineEvents(engine.attach(srv, {
    upgradeTimeout: 300, cookie: true, cors: { origin: "https://app.example", credentials: true },
    allowRequest: (req, cb) => {
      add(req._query.tag, "allowRequest");
      cb(req._query.refuse || null, !req._query.refuse);
    },
  }));
  io.use((req, res, next) => {
    if (req._query.mw === "fail") next(new Error("wrong"));
    else if (req._query.mw === "end") {
      res.writeHead(503);
      res.end();
    } else next();
  });
  io.on("initial_headers", (h, req) => {
    add(req._query.tag, "initial_headers");
    h["X-Initial"] = "1";
  });
  io.on("headers", (h) => (h["X-Each"] = "1"));
  io.on("connection_error", (e) => add(e.req._query.tag, `${e.code} ${e.message} ${e.context.name ?? "<nil>"}`));
}

function events(io) {
  const late = io.of("/late");
  late.use((s, next) => {
    s.join("waiting");
    setTimeout(() => next(s.handshake.auth.fail ? Object.assign(new Error("no"), { data: { a: 1 } }) : undefined), 150);
  });
  late.on("connection", (s) => add(s.handshake.auth.tag, "connected"));
  io.of("/refuse").use((_, next) => next(Object.assign(new Error("refused"), { data: { code: 7 } })));
  io.of(/^\/dyn-\w+$/).on("connection", (s) => s.emit("in", s.nsp.name));
  io.on("new_namespace", (n) => add(n.name, "new"));
  io.on("connection", (s) => {
    const { tag } = s.handshake.auth;
    s.emit("welcome");
    const rooms = () => [...s.rooms].filter((r) => r !== s.id).sort();
    s.on("disconnecting", (r) => add(tag, `disconnecting ${r} ${rooms().length}`));
    s.on("disconnect", (r) => {
      s.join("after");
      if (tag === "nobody") s.emit("nobody");
      add(tag, `disconnect ${r} ${rooms().length}`);
    });
    s.on("error", () => add(tag, "error"));
    s.on("join", (list, cb) => {
      s.join(list);
      cb(rooms());
    });
    s.on("leave", (room, cb) => {
      s.leave(room);
      cb(rooms());
    });
    s.on("to", (to, except, what, cb) => {
      io.to(to).except(except).emit("hit", what);
      cb();
    });
    s.on("others", (cb) => {
      s.broadcast.emit("hit", "others");
      cb();
    });
    s.on("reuse", (a, b, cb) => {
      const op = io.to(a);
      op.to(b).emit("hit", "both");
      op.emit("hit", "first");
      cb();
    });
    s.on("volatile", () => {
      s.volatile.emit("v", 1);
      s.volatile.emit("v", 2);
      s.emit("r");
    });
    s.on("volatile binary", () => {
      s.volatile.emit("v", Buffer.from([1]), Buffer.from([2]));
      s.volatile.emit("v", Buffer.from([3]), Buffer.from([4]));
      s.emit("r", Buffer.from([5]));
    });
    s.on("storm", () => {
      for (let i = 0; i < 40; i++) s.emit("bin", i, Buffer.from([i, 0]), Buffer.from([i, 1]));
      s.emit("done");
    });
    s.on("ack twice", (cb) => {
      cb(1);
      cb(2);
    });
    s.on("ack late", (cb) => setTimeout(cb, 50, "late", Buffer.from([1])));
    s.on("ask room", (room, cb) => io.to(room).timeout(300).emit("question", (err, list) => cb(!!err, list)));
    s.on("ask me", () => s.timeout(100).emit("question", (err, v) => (err ? s.emit("asked", err.message) : s.emit("asked", null, v))));
    s.on("kick", (all) => s.disconnect(all));
    s.on("slow", (n) => setTimeout(() => s.emit("slow", n), 20));
    s.on("waiting", (cb) => cb(io.of("/late").adapter.rooms.has("waiting")));
    s.on("fetch", async (room, cb) => cb((await io.in(room).fetchSockets()).length));
    s.on("flush", () => s.emit("flush"));
  });
}

module.exports = async (listen) => {
  const withLog = (attach) => listen((srv) => {
    srv.on("request", () => {});
    const answer = srv.listeners("request")[0];
    srv.removeAllListeners("request");
    srv.on("request", (req, res) => {
      const u = new URL(req.url, "http://x");
      if (u.pathname === "/log") res.end(JSON.stringify(log.get(u.searchParams.get("tag")) || []));
      else answer(req, res);
    });
    attach(srv);
  });
  const eng = (o) => withLog((srv) => engineEvents(engine.attach(srv, o)));
  const sio = (o) => withLog((srv) => events(new Server(srv, { cleanupEmptyChildNamespaces: true, ...o })));
  return {
    hooks: await withLog(hooks),
    deflate: await eng({ perMessageDeflate: { threshold: 10 } }),
    jsonp: await eng({ allowEIO3: true }),
    initial: await eng({ initialPacket: "welcome" }),
    noupgrade: await eng({ allowUpgrades: false, transports: ["polling"] }),
    sio: await sio({}),
    siov2: await sio({ allowEIO3: true }),
    recovery: await sio({ connectionStateRecovery: {} }),
  };
};
