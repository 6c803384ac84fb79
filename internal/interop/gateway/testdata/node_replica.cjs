// node_replica.cjs KIND REDIS_PORT GATEWAY TOKEN SUB KEY: a replica of npm socket.io in one
// cluster with a gateway, whose namespace /app is configured. Each reaches the clients of
// the other.
const assert = require("assert");
const { need, redisClient, makeServer, connectClient } = require("../../../../adapter/testdata/node/cluster.js");
const [kind, port, gateway, token, sub, key] = process.argv.slice(2);
const where = { port: Number(port) };

const once = (socket, event) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error(`no ${event}`)), 10_000);
  socket.once(event, (...args) => (clearTimeout(timer), resolve(args)));
});
async function api(method, path, body) {
  const response = await fetch(`${gateway}/api/${path}`, {
    method, body: body && JSON.stringify(body), headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
  });
  const text = await response.text();
  assert.strictEqual(response.status, 200, `${path}: ${text}`);
  return JSON.parse(text);
}
/** until asks again until the answer is right: two servers find each other first. */
async function until(what, ask) {
  for (let i = 0; i < 100; i++) {
    if (await ask()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(what);
}

async function main() {
  const { io } = await makeServer({ kind, where, library: "redis" }).then(async (s) => ({ io: s.io, url: s.url }));
  const app = io.of("/app");
  app.on("connection", (socket) => socket.join(["everyone", "topic:1"]));
  const there = connectClient(`http://127.0.0.1:${io.httpServer.address().port}/app`, { transports: ["websocket"] });
  const here = connectClient(`${gateway}/app`, { transports: ["websocket"], auth: { token }, reconnection: false });
  await Promise.all([once(there, "connect"), once(here, "connect")]);
  assert.strictEqual((await here.emitWithAck("join", "topic:1")).room, "topic:1");

  // Who is where, as each side sees it; the token stays on its replica.
  let found;
  await until("Node finds the gateway's socket", async () => (found = (await app.in(`user:${sub}`).fetchSockets())[0]));
  assert.strictEqual(found.id, here.id);
  assert.deepStrictEqual([...found.rooms].filter((room) => room !== here.id).sort(), ["everyone", "topic:1", `user:${sub}`].sort());
  assert.deepStrictEqual(found.data, { sub });
  assert.ok(!JSON.stringify(found.handshake).includes(token), "the token is in the answer to fetchSockets");
  await until("the API finds Node's socket", async () =>
    (await api("GET", "sockets?namespace=/app&room=topic:1")).sockets.map((s) => s.id).sort().join() === [here.id, there.id].sort().join());

  // Events to rooms, both ways, binary included, with rooms left out.
  let got = once(here, "news");
  app.to(`user:${sub}`).emit("news", 1, Buffer.from([1, 2]));
  assert.deepStrictEqual(await got, [1, Buffer.from([1, 2])]);
  got = [once(here, "all"), once(there, "all")];
  await api("POST", "emit", { namespace: "/app", to: ["everyone"], event: "all", args: [{ $binary: "AQI=" }] });
  for (const args of await Promise.all(got)) assert.deepStrictEqual(args, [Buffer.from([1, 2])]);
  const unwanted = (...args) => assert.fail(`came: ${args}`);
  here.once("others", unwanted);
  got = once(there, "others");
  app.to("topic:1").except(`user:${sub}`).emit("others");
  await got;
  got = once(there, "typing");
  assert.deepStrictEqual(await here.emitWithAck("typing", "topic:1", "ada"), {});
  assert.deepStrictEqual(await got, ["topic:1", "ada"]);
  if (kind === "classic") { // the npm emitter has no other kind
    const { Emitter } = need("@socket.io/redis-emitter");
    const emitter = new Emitter(await redisClient(where, "redis"), {}, "/app");
    got = [once(here, "emitted"), once(there, "emitted")];
    emitter.to("topic:1").emit("emitted", { from: "emitter" });
    for (const args of await Promise.all(got)) assert.deepStrictEqual(args, [{ from: "emitter" }]);
    emitter.in(`user:${sub}`).socketsJoin("by emitter");
    await until("the emitter joins", async () => (await app.in("by emitter").fetchSockets()).length === 1);
  }

  // Rooms of the other side's sockets.
  app.in(`user:${sub}`).socketsJoin("extra");
  await until("Node joins the gateway's socket", async () => (await api("GET", "sockets?namespace=/app&room=extra")).sockets.length === 1);
  app.in(`user:${sub}`).socketsLeave("extra");
  await until("Node takes it out again", async () => (await api("GET", "sockets?namespace=/app&room=extra")).sockets.length === 0);
  await api("POST", "join", { namespace: "/app", to: ["topic:1"], rooms: ["both"] });
  await until("the API joins both", async () => (await app.in("both").fetchSockets()).length === 2 && app.adapter.rooms.has("both"));
  await api("POST", "leave", { namespace: "/app", to: [there.id], rooms: ["both"] });
  await until("the API takes Node's socket out", async () => !app.adapter.rooms.has("both"));

  // The end of the other side's sockets.
  got = once(here, "disconnect");
  app.in(`user:${sub}`).disconnectSockets();
  assert.deepStrictEqual((await got)[0], "io server disconnect");
  got = once(there, "disconnect");
  await api("POST", "disconnect", { namespace: "/app", to: [there.id] });
  assert.deepStrictEqual((await got)[0], "io server disconnect");
  console.log("ok");
  process.exit(0);
}
main().catch((error) => { console.log(error.stack); process.exit(1); });
