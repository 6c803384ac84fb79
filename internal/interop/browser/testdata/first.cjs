// The front ends of the article the project came from: node first.cjs BASE raw|CLIENT
const [base, kind] = process.argv.slice(2);
const fail = (why) => { console.error(why); process.exit(1); };
setTimeout(() => fail("timeout"), 15000).unref();
const scan = async (imageUrl) => {
  const ticket = new URL(imageUrl).searchParams.get("ticket");
  const answer = await fetch(base + "/sim/scan", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ person: "first", ticket, follow: true }) });
  if (!answer.ok) fail("scan " + answer.status);
};
const isToken = (t) => typeof t === "string" && t.split(".").length === 3;

if (kind === "raw") {
  const WebSocket = require("ws");
  const ws = new WebSocket(base.replace("http", "ws") + "/ws/signup");
  let token;
  ws.onopen = () => {
    ws.send("junk");
    ws.send(JSON.stringify({ type: "unknown" }));
    ws.send(JSON.stringify({ type: "qrcode" }));
  };
  ws.onmessage = async (event) => {
    const { type, message } = JSON.parse(event.data);
    if (type === "qrcode") await scan(message);
    else if (type === "token") token = message;
    else fail("message of type " + type);
  };
  ws.on("close", (code, reason) => {
    if (!isToken(token) || code !== 1000) fail(`closed ${code} with token ${token}`);
    const end = JSON.parse(reason.toString());
    if (end.type !== "end" || end.message !== "connection will be terminated") fail("reason " + reason);
    console.log("ok");
    process.exit(0);
  });
} else {
  const io = require(kind).io ?? require(kind);
  const socket = io(base + "/login", { path: "/ws", reconnection: false });
  let token;
  socket.on("connect", () => socket.emit("qrcode"));
  socket.on("qrcode", ({ imageUrl }) => scan(imageUrl));
  socket.on("token", (t) => { token = t; });
  socket.on("disconnect", (reason) => {
    if (!isToken(token) || reason !== "io server disconnect") fail(`${reason}, token ${token}`);
    console.log("ok");
    process.exit(0);
  });
}
