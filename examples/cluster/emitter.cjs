// A Node process without sockets that emits into the cluster: @socket.io/redis-emitter.
const { Emitter } = require("@socket.io/redis-emitter");
const { createClient } = require("redis");

async function main() {
  const client = createClient({ url: process.env.REDIS_URL });
  client.on("error", (e) => console.error(e.message));
  await client.connect();
  const io = new Emitter(client);
  let n = 0;
  const timer = setInterval(() => io.emit("news", { from: "the Node emitter", text: `letter ${++n}` }), 2000);
  process.once("SIGTERM", async () => {
    clearInterval(timer);
    await client.quit();
  });
}

main().catch((e) => { console.error(e); process.exit(1); });
