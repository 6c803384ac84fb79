// Holds open connections, half of them polling: node hold.cjs BASE N
const { io } = require("socket.io-client");
const [base, n] = process.argv.slice(2);
let open = 0;
for (let i = 0; i < Number(n); i++) {
  const socket = io(base + "/login", { transports: [i % 2 ? "polling" : "websocket"], forceNew: true, reconnection: false });
  socket.on("connect", () => ++open === Number(n) && console.log("holding"));
}
setTimeout(() => process.exit(0), 30000);
