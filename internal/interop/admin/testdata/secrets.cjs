// A login while an administrator looks: node secrets.cjs BASE
// Nothing that the administrator gets may hold the token, the ticket, the code or the resume secret.
const { io } = require("socket.io-client");
const [base] = process.argv.slice(2);
const fail = (why) => { console.error(why); process.exit(1); };
setTimeout(() => fail("timeout"), 20000).unref();

const got = [];
const admin = io(`${base}/admin`, { auth: { username: "admin", password: "changeit" }, forceNew: true, reconnection: false });
admin.onAny((...args) => { got.push(args); check(); });
const said = (event, name) => got.some((m) => m[0] === event && m[1] === "/login" && m[3][0] === name);
let answer, token;
admin.once("all_sockets", () => {
  const socket = io(`${base}/login`, { forceNew: true, reconnection: false, query: { ticket: "query-secret" }, extraHeaders: { cookie: "a=cookie-secret", authorization: "Bearer header-secret" } });
  socket.on("connect_error", (e) => fail(e.message));
  socket.on("connect", () => socket.emit("qrcode", async (a) => {
    answer = a;
    await fetch(`${base}/sim/scan`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ person: "alice", ticket: a.ticket, follow: true }) });
  }));
  socket.on("token", (t) => { token = t; check(); });
});

function check() {
  if (!token || !said("event_received", "qrcode") || !said("event_sent", "token") || !got.some((m) => m[0] === "socket_disconnected" && m[1] === "/login")) return;
  const all = JSON.stringify(got);
  const secrets = { token, ticket: answer.ticket, resume: answer.resume, url: answer.url, query: "query-secret", cookie: "cookie-secret", header: "header-secret", password: "changeit" };
  for (const [name, secret] of Object.entries(secrets)) {
    if (!secret) fail(`no ${name}: ${JSON.stringify(answer)}`);
    if (all.includes(secret)) fail(`the administrator was shown the ${name}: ${all}`);
  }
  for (const m of got) if (/^event_/.test(m[0]) && m[1] === "/login" && m[3].length !== 1) fail(`arguments: ${JSON.stringify(m)}`);
  console.log("ok");
  process.exit(0);
}
