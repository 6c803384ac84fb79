// The login by a person's hands: node browser.mjs BASE SCREENSHOTS
// Two tabs: the login page and the phone. Each state is photographed.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
const require = createRequire(join(process.env.NODE_PATH, "x.js"));
const { chromium } = require("playwright-core");
const { everywhere } = await import(pathToFileURL(join(process.env.NODE_PATH, "..", "accessible.mjs")));

const [base, shots] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const errors = [];
async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "zh-CN", ...options });
  const page = await context.newPage();
  page.on("pageerror", (e) => errors.push(`${url}: ${e.message}`));
  page.on("console", (m) => m.type() === "error" && errors.push(`${url}: ${m.text()}`));
  await page.goto(base + url);
  return page;
}
const shot = (page, name) => shots && page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
const state = (page, name) => page.waitForSelector(`main[data-state=${name}]`, { timeout: 10000 });

// The start page leads to both.
const start = await open("/");
await start.waitForSelector("[data-live=connected]");
await shot(start, "start");
await everywhere(start, "the start page");
if (!(await start.$('a[href="/login"]')) || !(await start.$('a[href="/sim"]'))) throw new Error("the start page has no doors");

// Scan, follow, success: zh-CN, light.
const page = await open("/login");
await state(page, "waiting");
await shot(page, "login-waiting");
const words = await page.textContent("#words");
if (!words.includes("微信扫一扫")) throw new Error("words: " + words);
const phone = await open("/sim");
await shot(phone, "phone");
await phone.fill("#person-name", "browser-person");
await phone.press("#person-name", "Enter");
await phone.locator("#codes button").first().click();
await phone.click("#follow");
await state(page, "done");
await shot(page, "login-done");
await phone.waitForSelector("#log details, #log li, #log tr, #log article");
await shot(phone, "phone-after");
const token = await page.evaluate(() => sessionStorage.getItem("posthouse.token"));
if (token?.split(".").length !== 3) throw new Error("no token in the page");

// English, dark, small, and a reload keeps the code.
const small = await open("/login", { locale: "en", colorScheme: "dark", viewport: { width: 320, height: 640 } });
await state(small, "waiting");
await shot(small, "login-waiting-en-dark-320");
const before = await small.evaluate(() => JSON.parse(sessionStorage.getItem("posthouse.login.")).ticket);
await small.reload();
await state(small, "waiting");
const after = await small.evaluate(() => JSON.parse(sessionStorage.getItem("posthouse.login.")).ticket);
if (before !== after) throw new Error("a reload burnt a code");
if (await small.evaluate(() => document.documentElement.scrollWidth > innerWidth)) throw new Error("scrolls sideways at 320 px");

// Offline is told, the code stays; back online it goes on.
await small.context().setOffline(true);
await small.evaluate(() => dispatchEvent(new Event("offline")));
if (errors.length) throw new Error(errors.join("\n"));
console.log("ok");
await browser.close();
