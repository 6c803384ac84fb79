// ended.cjs URL TOKEN: prints a line when the socket is connected, and one for each event
// that ends it.
const io = require("socket.io-client");
const [url, token] = process.argv.slice(2);
const socket = io(url, { auth: { token }, reconnection: false, transports: ["websocket"] });
socket.on("connect", () => console.log("connected"));
socket.on("expired", () => console.log("expired"));
socket.on("connect_error", (error) => {
  console.log("refused " + error.data?.code);
  process.exit(0);
});
socket.on("disconnect", (reason) => {
  console.log(`disconnected: ${reason}`);
  process.exit(0);
});
