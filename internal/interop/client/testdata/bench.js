// One run of the benchmark of clients: node bench.js URL WORKLOAD MILLISECONDS.
// It prints how many operations there were, and the CPU time in microseconds.
const { io } = require("socket.io-client");
const [url, workload, ms] = process.argv.slice(2);
const payload = { id: 12345, name: "someone", text: "x".repeat(40) };
const sockets = [];
let ops = 0;

function open(transports) {
  return new Promise((resolve, reject) => {
    const socket = io(url, { forceNew: true, transports });
    socket.on("connect", () => resolve(socket));
    socket.on("connect_error", reject);
    sockets.push(socket);
  });
}

async function ask(socket) {
  for (;;) {
    await socket.emitWithAck("echo", payload);
    ops++;
  }
}

function chain(socket) {
  socket.emit("echo", payload, () => { ops++; chain(socket); });
}

const workloads = {
  "echo-1": async () => { ask(await open(["websocket"])); },
  "echo-16": async () => {
    const socket = await open(["websocket"]);
    for (let i = 0; i < 16; i++) chain(socket);
  },
  "echo-50-clients": async () => {
    for (let i = 0; i < 50; i++) ask(await open(["websocket"]));
  },
  events: async () => {
    const socket = await open(["websocket"]);
    let left = 0;
    const more = () => { left = 1000; socket.emit("pump", left); };
    socket.on("tick", () => { ops++; if (--left === 0) more(); });
    more();
  },
};

(async () => {
  await workloads[workload]();
  await new Promise((resolve) => setTimeout(resolve, 500)); // compiled by now
  const [before, cpu] = [ops, process.cpuUsage()];
  await new Promise((resolve) => setTimeout(resolve, Number(ms)));
  const used = process.cpuUsage(cpu);
  console.log(ops - before, used.user + used.system);
  process.exit(0);
})();
