// Prints the types in which real clients get binary values: node binary.mjs BASE MSGPACK_BASE
import { createRequire } from "node:module";
import { join } from "node:path";
const require = createRequire(join(process.env.NODE_PATH, "x.js"));
const { io } = require("socket.io-client");
const msgpack = require("socket.io-msgpack-parser");
const { chromium } = require("playwright-core");
const [base, packed] = process.argv.slice(2);

const receive = (socket) => new Promise((resolve) => socket.on("saved", (node) => resolve(node.icon)));
const kind = (value) => [ArrayBuffer, Uint8Array].filter((type) => value instanceof type).map((type) => type.name).join();
for (const transports of [["polling"], ["websocket"]]) {
  for (const [url, options] of [[base, {}], [packed, { parser: msgpack }]]) {
    const socket = io(url, { transports, forceNew: true, ...options });
    console.log("node", transports[0], options.parser ? "msgpack" : "default", kind(await receive(socket)));
    socket.disconnect();
  }
}
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
for (const [url, file] of [[base, "socket.io.js"], [packed, "socket.io.msgpack.min.js"]]) {
  for (const transport of ["polling", "websocket"]) {
    const page = await browser.newPage();
    await page.goto(url + "/");
    await page.addScriptTag({ url: "/socket.io/" + file });
    const got = await page.evaluate(([transport, receive, kind]) => {
      const socket = window.io({ transports: [transport] });
      return eval(receive)(socket).then(eval(kind));
    }, [transport, receive.toString(), kind.toString()]);
    console.log("chromium", transport, file === "socket.io.js" ? "default" : "msgpack", got);
    await page.close();
  }
}
await browser.close();
process.exit(0);
