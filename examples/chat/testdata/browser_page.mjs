// Pages of the chat in Chromium, for the tests.
import { createRequire } from "node:module";
import { join } from "node:path";
const require = createRequire(join(process.env.NODE_PATH, "x.js"));
const { chromium } = require("playwright-core");

export const wrong = [];
export function check(ok, what) { if (!ok) wrong.push(what); }

export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

export async function open(browser, base, options) {
  const page = await (await browser.newContext(options)).newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (e) => wrong.push(e.stack));
  // While the network is cut the browser reports failed requests: those are right.
  page.on("console", (m) => m.type() === "error" && !/ERR_|WebSocket/.test(m.text()) && wrong.push(m.text()));
  await page.goto(base);
  return page;
}

export const state = (page, name) => page.waitForSelector(`body[data-state=${name}]`);
export const introduce = async (page, name) => {
  await page.fill("#name", name);
  await page.press("#name", "Enter");
  await state(page, "connected");
  await page.waitForSelector(".scroll[data-loading=false]");
};
export const write = async (page, text) => { await page.fill("#text", text); await page.press("#text", "Enter"); };
export const arrived = (page, text) => page.locator(`#messages li[data-state=sent] .text`, { hasText: text }).last().waitFor();
export const texts = (page) => page.$$eval("#messages .text", (all) => all.map((e) => e.textContent));
export const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

export function end() {
  if (wrong.length) {
    console.log(wrong.join("\n"));
    process.exit(1);
  }
  console.log("ok");
}
