// One login with the real socket.io-client: node client.cjs BASE PATH TRANSPORTS [CLIENT]
// Prints what it saw as JSON; exits 1 with the reason when something is not as promised.
const crypto = require("node:crypto");
const [base, path, transports, client = "socket.io-client"] = process.argv.slice(2);
const io = require(client).io ?? require(client);

const fail = (why) => { console.error(why); process.exit(1); };
setTimeout(() => fail("timeout"), 15000).unref();

const post = async (url, body) => {
  const answer = await fetch(base + url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  return { status: answer.status, body: await answer.json() };
};

async function verify(jwt) {
  const [head, payload, signature] = jwt.split(".");
  const header = JSON.parse(Buffer.from(head, "base64url"));
  const { keys } = await (await fetch(base + "/.well-known/jwks.json")).json();
  const jwk = keys.find((k) => k.kid === header.kid) ?? fail("no key for kid " + header.kid);
  const key = crypto.createPublicKey({ key: jwk, format: "jwk" });
  if (header.alg !== "EdDSA") fail("alg " + header.alg);
  if (!crypto.verify(null, Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, "base64url"))) fail("bad signature");
  return JSON.parse(Buffer.from(payload, "base64url"));
}

const socket = io(base + "/login", { path, transports: transports.split(","), forceNew: true, reconnection: false });
const seen = { events: [] };
socket.on("connect_error", (e) => fail("connect_error " + (e.message ?? e)));
socket.on("qrcode", (answer) => seen.events.push(["qrcode", answer.ticket]));
socket.on("state", (s) => seen.events.push(["state", s.state]));
socket.on("connect", () => socket.emit("qrcode", async (answer) => {
  if (answer.error) fail(JSON.stringify(answer));
  seen.answer = answer;
  const engine = socket.io.engine;
  if (transports.startsWith("polling,")) {
    for (let i = 0; i < 200 && engine.transport.name !== "websocket"; i++) await new Promise((r) => setTimeout(r, 10));
  }
  seen.transport = engine.transport.name;
  seen.scan = await post("/sim/scan", { person: "alice", ticket: answer.ticket, follow: true });
}));
socket.on("token", (token) => {
  seen.token = token;
  seen.events.push(["token"]);
});
socket.on("disconnect", async (reason) => {
  seen.events.push(["disconnect", reason]);
  if (!seen.token) fail("disconnected before the token: " + reason);
  for (let i = 0; i < 500 && !seen.scan; i++) await new Promise((r) => setTimeout(r, 10));
  seen.claims = await verify(seen.token);
  console.log(JSON.stringify(seen));
  process.exit(0);
});
