// A real client against the server under test. The argument is JSON:
//   {url, client, options, expect, big, pmd}
// Prints one line of JSON: what it saw.
"use strict";
const arg = JSON.parse(process.argv[2]);
const mod = require(arg.client === 3 ? "engine.io-client-3" : "engine.io-client");
const Socket = mod.Socket || mod;
const s = new Socket(arg.url, arg.options);
const N = 300, out = { open: false, upgraded: false, echoed: 0, wrong: [], close: "", transport: "", extensions: "" };
const bigText = "é😀x".repeat(Math.floor(arg.big / 7)), bigBinary = Buffer.alloc(arg.big, 7);
const steps = [];
for (let i = 0; i < N; i++) steps.push(i % 10 === 9 ? Buffer.from([i & 255, 0, 255, 30]) : "n" + i + ["", "é", "😀", "\u2028"][i % 4]);
if (arg.big) steps.push(bigText, bigBinary);
const same = (a, b) => typeof a === "string" || typeof b === "string" ? a === b : Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0;
let sent = 0;
function pump() { // some before the upgrade, some in the middle, some after it
  for (let i = 0; i < 20 && sent < steps.length; i++) s.send(steps[sent++]);
  if (sent < steps.length) setTimeout(pump, 5);
}
let greeting = true;
s.binaryType = "nodebuffer";
s.on("open", () => { out.open = true; pump(); });
s.on("upgrade", () => { out.upgraded = true; });
s.on("message", m => {
  if (greeting) { greeting = false; if (m !== "hi") out.wrong.push("greeting " + m); return; }
  if (!same(m, steps[out.echoed])) out.wrong.push(out.echoed);
  out.echoed++;
  if (out.echoed === steps.length) {
    out.transport = s.transport.name;
    if (s.transport.ws) out.extensions = s.transport.ws.extensions || "";
    setTimeout(() => s.close(), arg.stay || 0);
  }
});
s.on("error", e => out.wrong.push("error " + e));
s.on("close", r => { out.close = r; console.log(JSON.stringify(out)); });
setTimeout(() => { out.close = "timeout"; console.log(JSON.stringify(out)); process.exit(1); }, 20000).unref();
