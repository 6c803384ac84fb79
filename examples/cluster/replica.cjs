// A Node replica in the cluster: socket.io with @socket.io/redis-adapter.
const http = require("node:http");
const { Server } = require("socket.io");
const { createAdapter } = require("@socket.io/redis-adapter");
const { createClient } = require("redis");

const [host, port] = process.env.ADDR.split(":");

async function main() {
  const pub = createClient({ url: process.env.REDIS_URL });
  const sub = pub.duplicate();
  for (const client of [pub, sub]) {
    client.on("error", (e) => console.error(e.message));
    await client.connect();
  }
  const server = http.createServer(routes);
  const io = new Server(server, { adapter: createAdapter(pub, sub), cors: { origin: process.env.ORIGIN } });

  // The namespace that all replicas have: what one says, everybody hears.
  io.on("connection", (socket) => {
    socket.on("say", (text) => io.emit("news", { from: "the Node replica", text: String(text) }));
  });

  // A namespace of this replica alone. It asks the whole cluster, Go and Node.
  io.of("/node").on("connection", (socket) => {
    socket.on("who", async (answer) => {
      const sockets = await io.fetchSockets();
      answer(sockets.map((s) => s.id));
    });
  });

  // The login of Node: the code of a ticket is the socket's id. Whoever posts a
  // token for it signs that page in, on whichever replica, Go or Node, it is.
  io.of("/login").on("connection", (socket) => {
    socket.on("qrcode", (answer) => answer({ ticket: socket.id }));
  });

  function routes(req, res) {
    const url = new URL(req.url, "http://node");
    if (url.pathname === "/healthz") return res.end("ok\n");
    if (req.method === "POST" && url.pathname === "/sign-in") {
      const page = io.of("/login").in(url.searchParams.get("ticket"));
      page.emit("token", "a token of Node's");
      page.disconnectSockets(true);
      return res.end("ok\n");
    }
    res.writeHead(404).end();
  }

  server.listen(Number(port), host);
  process.once("SIGTERM", async () => {
    await io.close();
    await Promise.all([pub.quit(), sub.quit()]);
  });
}

main().catch((e) => { console.error(e); process.exit(1); });
