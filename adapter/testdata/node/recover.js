// A socket.io-client that stays while the replica it is connected to is killed and it is
// led to another one. It prints one line of JSON for each thing that it sees.
//
//   node recover.js http://127.0.0.1:3000
"use strict";
const { connectClient } = require("./cluster.js");
const say = (o) => process.stdout.write(JSON.stringify(o) + "\n");
const socket = connectClient(process.argv[2], {
  transports: ["websocket"], reconnectionDelay: 100, reconnectionDelayMax: 200,
});
socket.on("connect", async () => {
  const recovered = socket.recovered;
  if (!recovered) await socket.emitWithAck("join", "room1");
  say({ event: "connect", id: socket.id, recovered });
});
socket.on("disconnect", (reason) => {
  say({ event: "disconnect", reason });
  if (reason === "io server disconnect") { // it comes back on a connection of its own
    socket.io.engine.close();
    setTimeout(() => socket.connect(), 50);
  }
});
socket.onAny((event, ...args) => say({ event, args }));
process.stdin.on("end", () => process.exit(0)).resume();
