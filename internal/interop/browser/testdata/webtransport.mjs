// WebTransport through the gateway: node webtransport.mjs BASE HASH-OF-THE-PUBLIC-KEY HASH-OF-THE-CERTIFICATE
// Chromium opens the gateway's own start page, under its policy, and upgrades from polling.
import { createRequire } from "node:module";
import { join } from "node:path";
const require = createRequire(join(process.env.NODE_PATH, "x.js"));
const { chromium } = require("playwright-core");

const [base, spki, certificate] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    `--ignore-certificate-errors-spki-list=${spki}`],
});
const page = await (await browser.newContext()).newPage();
page.setDefaultTimeout(30000);
const errors = [];
// The page's own client is not told the hash, so its attempt fails and it stays with another
// transport. The npm client leaves the promises of a session that it closes without a handler.
const expected = /QUIC_TLS_CERTIFICATE_UNKNOWN|Opening handshake failed|The session is closed/;
const note = (message) => expected.test(message) || errors.push(message);
page.on("pageerror", (e) => note(e.message));
page.on("console", (m) => m.type() === "error" && note(m.text()));
await page.goto(base + "/");
await page.waitForSelector("[data-live=connected]");
const seen = await page.evaluate(async (certificate) => {
  const { io } = await import("/socket.io/socket.io.esm.min.js");
  const socket = io({ forceNew: true, reconnection: false, transports: ["polling", "webtransport"],
    transportOptions: { webtransport: { serverCertificateHashes: [{ algorithm: "sha-256", value: Uint8Array.from(atob(certificate), (c) => c.charCodeAt(0)) }] } } });
  const log = [];
  const within = (promise, what) => Promise.race([promise, new Promise((_, no) => setTimeout(() => no(new Error("no " + what)), 20000))]);
  socket.io.engine.on("upgradeError", (e) => log.push("upgrade failed: " + e + " " + e.description));
  const upgraded = new Promise((yes) => socket.io.engine.on("upgrade", (t) => yes(t.name)));
  await within(new Promise((yes, no) => { socket.on("connect", yes); socket.on("connect_error", no); }), "connection");
  log.push(await within(upgraded, "upgrade, " + log.join()));
  for (let i = 0; i < 20; i++) await within(socket.emitWithAck("rtt"), "answer");
  log.push(socket.io.engine.transport.name);
  const ended = new Promise((yes) => socket.io.engine.on("close", yes));
  socket.disconnect();
  log.push(await within(ended, "end"));
  return log.join(" ");
}, certificate);
await browser.close();
if (errors.length > 0) throw new Error(errors.join("\n"));
console.log(seen);
