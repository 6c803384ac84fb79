// A Socket.IO server of the npm package that is named: node server.js PACKAGE PARSER. With
// the package @socket.io/bun-engine, and bun in place of node, socket.io runs on that.
const [name, format, port] = process.argv.slice(2);
const { createServer } = require("http");
const onBun = name === "@socket.io/bun-engine";
const io = require(onBun ? "socket.io" : name);
const old = name === "sios-2.5";
const http = onBun ? undefined : createServer();
const options = { pingInterval: 700, pingTimeout: 2000 };
if (format === "msgpack") options.parser = require("socket.io-msgpack-parser");
if (format === "recovery") options.connectionStateRecovery = {};
const server = old ? io(http, options) : new io.Server(http, options);

// The ids of numbered messages that were seen: what makes "at least once" into "once".
const seen = new Set();
const order = [];

function serve(namespace) {
  namespace.on("connection", (s) => {
    s.on("echo", (...args) => args.pop()(...args));
    s.on("back", (...args) => s.emit("back", ...args));
    s.on("leave", () => s.disconnect());
    s.on("drop", () => s.disconnect(true));
    s.on("cut", () => (s.conn.transport || s.client.conn.transport).close());
    s.on("auth", (ack) => ack(old ? s.handshake.query : s.handshake.auth));
    s.on("ask", (...args) => s.emit("question", ...args, (...answer) => s.emit("answered", ...answer)));
    s.on("all", (...args) => namespace.emit("all", ...args));
    s.on("join", (room, ack) => { s.join(room); ack(); });
    s.on("room", (room, ...args) => namespace.to(room).emit("room", ...args));
    s.on("numbered", (id, ack) => { if (!seen.has(id)) { seen.add(id); order.push(id); } ack(id); });
    s.on("seen", (ack) => ack(order));
  });
}
serve(server.of("/"));
serve(server.of("/chat"));
const admin = server.of("/admin");
admin.use((s, next) => {
  const { token } = old ? s.handshake.query : s.handshake.auth;
  if (token === "good") return next();
  const err = new Error("not you");
  err.data = { code: 7 };
  next(err);
});
serve(admin);
if (onBun) {
  const { Server: Engine } = require(name);
  const engine = new Engine({ path: "/socket.io/", pingInterval: 700, pingTimeout: 2000 });
  server.bind(engine);
  const { websocket } = engine.handler();
  const bun = Bun.serve({
    port: Number(port) || 0,
    hostname: "127.0.0.1",
    idleTimeout: 60, // seconds; must exceed pingInterval
    websocket,
    fetch: (req, server) => engine.handleRequest(req, server),
  });
  console.log("listening on " + bun.port);
} else http.listen(Number(port) || 0, "127.0.0.1", () => console.log("listening on " + http.address().port));
