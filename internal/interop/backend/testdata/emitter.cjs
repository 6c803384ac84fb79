// Emits through the npm emitter as a back end would. Each line of standard input is how
// many rounds to run, how many events each has and how many rounds there are at a time;
// every round waits until Redis has taken its events.
const { createRequire } = require("node:module");
const [driver, packages, url] = process.argv.slice(2);
const load = createRequire(packages + "/");
const { Emitter } = load("@socket.io/redis-emitter");
const pad = "x".repeat(48);
const clients = {
  redis: async () => { const c = load("redis").createClient({ url }); await c.connect(); return c; },
  ioredis: async () => new (load("ioredis"))(url),
};
clients[driver]().then(async (client) => {
  const emitter = new Emitter(client).of("/app");
  console.log("ready");
  for await (const line of require("node:readline").createInterface({ input: process.stdin })) {
    const [rounds, events, atOnce] = line.split(" ").map(Number);
    await Promise.all(Array.from({ length: atOnce }, async (_, first) => {
      for (let i = first; i < rounds; i += atOnce) {
        for (let j = 0; j < events; j++) emitter.to("everyone").emit("msg", { i: j, pad });
        await client.ping();
      }
    }));
    console.log("done");
  }
  process.exit(0);
});
