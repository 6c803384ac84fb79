// room.cjs URL TOKEN: joins topic:1 with its history and prints the answer, and a line for
// each event that comes then.
const io = require("socket.io-client");
const [url, token] = process.argv.slice(2);
const socket = io(url, { auth: { token }, reconnection: false, transports: ["websocket"] });
socket.onAny((event, ...args) => console.log(`${event} ${JSON.stringify(args)}`));
socket.on("connect_error", (error) => console.log("refused " + error.message));
socket.on("connect", async () => {
  const { history, presence, gap } = await socket.emitWithAck("join", { room: "topic:1", history: 10 });
  console.log(`joined ${JSON.stringify(history.map((e) => e.args))} ${presence.map((m) => m.user)} ${Boolean(gap)}`);
  const page = await socket.emitWithAck("history", { room: "topic:1", limit: 1 });
  console.log(`page ${JSON.stringify(page.events.map((e) => e.args))} ${page.more}`);
});
