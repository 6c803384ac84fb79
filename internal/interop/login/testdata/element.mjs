// <posthouse-login> in a page of another origin: node element.mjs GATEWAY PAGE SCREENSHOTS
import { createRequire } from "node:module";
import { join } from "node:path";
const require = createRequire(join(process.env.NODE_PATH, "x.js"));
const { chromium } = require("playwright-core");

const [gateway, host, shots] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage({ viewport: { width: 480, height: 480 } });
const errors = [];
page.on("pageerror", (e) => errors.push(e.message));
page.on("console", (m) => m.type() === "error" && errors.push(m.text()));
await page.goto(host);
await page.waitForSelector("posthouse-login [part=code] svg", { timeout: 15000 });
if (shots) await page.screenshot({ path: join(shots, "element.png") });
const ticket = await page.evaluate(() => JSON.parse(sessionStorage.getItem("posthouse.login.")).ticket);
await fetch(gateway + "/sim/scan", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ person: "eve", ticket, follow: true }) });
await page.waitForFunction(() => window.token?.split(".").length === 3, null, { timeout: 10000 });
if (errors.length) throw new Error(errors.join("\n"));
console.log("ok");
await browser.close();
