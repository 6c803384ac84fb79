// Emits N events through Redis, a hundred at a time, and prints the CPU time of one in
// microseconds: node emitter_cost.cjs REDIS_URL N
const { Emitter } = require("@socket.io/redis-emitter");
const { createClient } = require("redis");

async function main() {
  const [url, n] = process.argv.slice(2);
  const client = createClient({ url });
  await client.connect();
  const app = new Emitter(client).of("/app");
  const pad = "x".repeat(48);
  const batch = async () => {
    for (let i = 0; i < 100; i++) app.to("everyone").emit("msg", { i, pad });
    await client.ping(); // behind them
  };
  for (let i = 0; i < 50; i++) await batch(); // compiled by now
  const begin = process.cpuUsage();
  for (let i = 0; i < n / 100; i++) await batch();
  const { user, system } = process.cpuUsage(begin);
  console.log((user + system) / n);
  await client.quit();
}

main().catch((e) => { console.error(e); process.exit(1); });
