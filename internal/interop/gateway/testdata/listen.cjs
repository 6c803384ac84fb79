// listen.cjs URL: prints each event of a socket, with its arguments.
const io = require("socket.io-client");
const socket = io(process.argv[2], { reconnection: false });
socket.on("connect", () => console.log("connected"));
socket.onAny((event, ...args) => {
  if (typeof args.at(-1) === "function") args.pop()("thanks");
  console.log(event, JSON.stringify(args));
});
