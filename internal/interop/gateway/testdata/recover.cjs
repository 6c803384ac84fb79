// recover.cjs FIRST SECOND TOKEN: a client that is led to the second address when a line
// comes on stdin; the line is the token that it brings. A line that comes while it is
// connected ends its connection first. It prints a line for each thing
// that it sees.
const io = require("socket.io-client");
const [first, second, token] = process.argv.slice(2);
const socket = io(first + "/app", { auth: { token }, reconnection: false, transports: ["websocket"] });
socket.onAny((event, ...args) => console.log(`${event} ${args[0]}`)); // without the offset
socket.on("connect_error", (error) => console.log("refused " + error.message));
socket.on("disconnect", (reason) => console.log("gone " + reason));
let id;
socket.on("connect", () => {
  console.log(`connected recovered=${socket.recovered} same=${socket.id === id}`);
  id = socket.id;
  socket.emit("join", "topic:1", (answer) => console.log(`joined ${answer.room}`));
});
require("readline").createInterface(process.stdin).on("line", (line) => {
  socket.io.uri = second;
  socket.auth = { token: line };
  if (!socket.connected) return socket.connect();
  socket.once("disconnect", () => setImmediate(() => socket.connect()));
  socket.io.engine.close();
}).on("close", () => process.exit(0));
