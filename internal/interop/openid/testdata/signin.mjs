// A person signs in to an application: node signin.mjs START GATEWAY PERSON [SCREENSHOTS]
// The browser opens START, which leads to the login page; the local WeChat's phone scans;
// the page goes on by itself to the application, whose answer stands in #result.
import { createRequire } from "node:module";
import { join } from "node:path";
const require = createRequire(join(process.env.NODE_PATH, "x.js"));
const { chromium } = require("playwright-core");

const [start, gateway, person, shots] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const errors = [];
const looks = shots
  ? [
      { name: "en-light", locale: "en", colorScheme: "light" }, { name: "zh-dark", locale: "zh-CN", colorScheme: "dark" },
      { name: "zh-phone", locale: "zh-CN", viewport: { width: 360, height: 740 } }, { name: "en-phone-dark", locale: "en", colorScheme: "dark", viewport: { width: 360, height: 740 } },
    ]
  : [{ name: "zh", locale: "zh-CN" }];
for (const { name, ...look } of looks) {
  const context = await browser.newContext(look);
  const page = await context.newPage();
  page.on("pageerror", (e) => errors.push(e.message));
  page.on("console", (m) => m.type() === "error" && errors.push(m.text()));
  await page.goto(start);
  await page.waitForSelector("main[data-state=waiting]", { timeout: 20000 });
  if (shots) await page.screenshot({ path: join(shots, `oidc-${name}.png`), fullPage: true });
  const link = page.url();
  if (!new URL(link).searchParams.get("request")) throw new Error("no request: " + link);

  // The link is this browser's own.
  const stranger = await (await browser.newContext(look)).newPage();
  const refused = await stranger.goto(link);
  if (refused.status() !== 403 || (await stranger.$("#qr"))) throw new Error("another browser: " + refused.status());
  if (shots) await stranger.screenshot({ path: join(shots, `oidc-${name}-refused.png`), fullPage: true });

  const { ticket } = await page.evaluate(() => JSON.parse(sessionStorage.getItem("posthouse.login.")));
  const scan = await fetch(gateway + "/sim/scan", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ person, ticket, follow: true }),
  });
  if (!scan.ok) throw new Error("scan: " + (await scan.text()));
  await page.waitForSelector("#result", { timeout: 20000 });
  console.log(await page.textContent("#result"));
}
await browser.close();
if (errors.length) throw new Error(errors.join("\n"));
