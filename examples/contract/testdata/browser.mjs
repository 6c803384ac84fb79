// Two people at one board: node browser.mjs BASE
import { createRequire } from "node:module";
import { join } from "node:path";
const require = createRequire(join(process.env.NODE_PATH, "x.js"));
const { chromium } = require("playwright-core");

const base = process.argv[2];
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const wrong = [];
const open = async () => {
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => wrong.push(error.stack));
  await page.goto(base);
  return page;
};
const ada = await open();
const pin = async (text, colour) => {
  await ada.fill("#text", text);
  await ada.selectOption("#colour", colour);
  await ada.click("form button");
};
await pin("milk", "green");
await ada.locator("li[data-colour=green]", { hasText: "milk" }).waitFor();
const bo = await open();
await bo.locator("li", { hasText: "milk" }).waitFor();
await pin("x".repeat(81), "blue");
await ada.locator("#problem", { hasText: "text: expected length <= 80" }).waitFor();
await pin("bread", "blue");
await bo.locator("li[data-colour=blue]", { hasText: "bread" }).waitFor();
await bo.locator("li", { hasText: "milk" }).locator("button").click();
await ada.locator("li", { hasText: "milk" }).waitFor({ state: "detached" });
if ((await ada.locator("li").count()) !== 1) wrong.push("not one note");
await browser.close();
console.log(wrong.length ? wrong.join("\n") : "ok");
