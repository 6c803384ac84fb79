// Drives examples/cluster as pages do: node drive.cjs NGINX GO NODE PHONE
// Prints one line per promise kept; exits 1 with the reason when one is not.
const [nginx, go, node, phone] = process.argv.slice(2);
const { io } = require("socket.io-client");

const fail = (why) => { console.error(why); process.exit(1); };
setTimeout(() => fail("timeout"), 25000).unref();

const event = (socket, name, fits = () => true) => new Promise((resolve) => {
  const heard = (...args) => { if (fits(...args)) { socket.off(name, heard); resolve(args); } };
  socket.on(name, heard);
});
const connected = async (url, options = {}) => {
  const socket = io(url, { forceNew: true, reconnection: false, ...options });
  socket.on("connect_error", (e) => fail(`${url}: ${e.message}`));
  if (!socket.connected) await event(socket, "connect");
  return socket;
};
const post = async (url, body) => {
  const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: body && JSON.stringify(body) });
  if (!answer.ok) fail(`${url}: ${answer.status}`);
  return answer;
};

async function main() {
  // Several through nginx, by both transports, so that more than one gateway has some.
  const behind = await Promise.all([["polling"], ["polling"], ["polling"], ["websocket"], ["websocket"], ["websocket"]]
    .map((transports) => connected(nginx, { transports })));
  const onGo = await connected(go), onNode = await connected(node);
  const all = [...behind, onGo, onNode];

  const heardByAll = (from, text) => Promise.all(all.map((s) => event(s, "news", (n) => n.from === from && (!text || n.text === text))));
  await heardByAll("the Node emitter");
  console.log("emitter: ok");
  let heard = heardByAll("the Go replica", "驿");
  onGo.emit("say", "驿");
  await heard;
  console.log("go: ok");
  heard = heardByAll("the Node replica", "站");
  onNode.emit("say", "站");
  await heard;
  console.log("node: ok");

  // Node counts the sockets of Go.
  const own = await connected(node + "/node");
  const ids = await own.emitWithAck("who");
  const missing = all.filter((s) => !ids.includes(s.id));
  if (missing.length) fail(`fetchSockets of Node: ${ids.length} of ${all.length}`);
  console.log("who: ok");

  // The login of the gateway: code, scan, token, goodbye.
  const page = await connected(nginx + "/login");
  const gone = event(page, "disconnect"), token = event(page, "token");
  const { ticket, error } = await page.emitWithAck("qrcode");
  if (error) fail(JSON.stringify(error));
  await post(phone + "/scan", { person: "alice", ticket, follow: true });
  const [jwt] = await token, [reason] = await gone;
  if (jwt.split(".").length !== 3 || reason !== "io server disconnect") fail(`token ${jwt}, ${reason}`);
  console.log("login: ok");

  // The login of Node, for a page on Node and for one on a gateway.
  for (const base of [node, nginx]) {
    const page = await connected(base + "/login");
    const gone = event(page, "disconnect"), token = event(page, "token");
    const ticket = base === node ? (await page.emitWithAck("qrcode")).ticket : page.id;
    await post(`${node}/sign-in?ticket=${ticket}`);
    const [text] = await token, [reason] = await gone;
    if (text !== "a token of Node's" || reason !== "io server disconnect") fail(`${base}: ${text}, ${reason}`);
  }
  console.log("login by Node: ok");
  all.concat(own).forEach((s) => s.close());
  process.exit(0);
}
main().catch(fail);
