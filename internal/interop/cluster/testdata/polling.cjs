// Polling sessions through a balancer: node polling.cjs BASE N
// Clients of versions 2, 3 and 4 take turns; each joins /login and gets five answers.
const [base, n] = process.argv.slice(2);
const total = Number(n);
const http = require("node:http");
const clients = ["sioc-2.5", "sioc-3.1", "socket.io-client"].map((name) => require(name).io ?? require(name));
let bad = 0;
const reasons = {};
const note = (why) => { bad++; reasons[why] = (reasons[why] ?? 0) + 1; };

// Every HTTP answer of this process is seen here, whatever the client makes of it.
// A poll that crosses the close of its own session on the way is told, rightly, that
// the session is unknown: those do not count.
const closed = new Set();
const request = http.request;
http.request = function (...args) {
  const r = request.apply(this, args);
  r.on("response", (res) => {
    const sid = new URL(r.path, base).searchParams.get("sid");
    if (res.statusCode >= 400 && !closed.has(sid)) note("HTTP " + res.statusCode);
  });
  return r;
};

async function session(i) {
  const io = clients[i % clients.length];
  const socket = io(base + "/login", { transports: ["polling"], upgrade: false, forceNew: true, reconnection: false, timeout: 20000 });
  await new Promise((resolve) => {
    const end = (why) => { if (why) note(why); clearTimeout(timer); closed.add(socket.io.engine?.id); socket.removeAllListeners?.(); socket.close(); resolve(); };
    const timer = setTimeout(() => end("timeout"), 30000);
    socket.on("connect_error", (e) => end("connect_error " + e.message));
    socket.on("disconnect", (reason) => end("disconnect " + reason));
    socket.on("connect", () => {
      let answers = 0;
      const ask = () => socket.emit("resume", { ticket: "x", resume: "y" }, (answer) => {
        if (answer?.error?.code !== "unauthorized") return end("answer " + JSON.stringify(answer));
        ++answers < 5 ? setTimeout(ask, 250) : end();
      });
      ask();
    });
  });
}

(async () => {
  let next = 0;
  const worker = async () => { while (next < total) await session(next++); };
  await Promise.all(Array.from({ length: 100 }, worker));
  console.log(`${total} sessions, ${bad} bad answers ${JSON.stringify(reasons)}`);
  process.exit(bad ? 1 : 0);
})();
