// Two people at the board: node browser.mjs BOARD GATEWAY SCREENSHOTS
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
const require = createRequire(join(process.env.NODE_PATH, "x.js"));
const { chromium } = require("playwright-core");
const { everywhere } = await import(pathToFileURL(join(process.env.NODE_PATH, "..", "accessible.mjs")));

const [board, gateway, shots] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const wrong = [];
const check = (ok, what) => { if (!ok) wrong.push(what); };
async function open(options) {
  const page = await (await browser.newContext(options)).newPage();
  page.setDefaultTimeout(15_000);
  page.on("pageerror", (e) => wrong.push(e.stack));
  page.on("console", (m) => m.type() === "error" && wrong.push(m.text()));
  await page.goto(board);
  return page;
}
const shot = (page, name) => shots && page.screenshot({ path: join(shots, `${name}.png`) });
const state = (page, name) => page.waitForSelector(`body[data-state=${name}]`);
const texts = (page) => page.$$eval("#notes p", (all) => all.map((e) => e.textContent));
const pin = async (page, text) => { await page.fill("#text", text); await page.press("#text", "Enter"); };
const pinned = (page, text) => page.locator("#notes p", { hasText: text }).waitFor();
const here = (page, names) => page.waitForFunction((want) => [...document.querySelectorAll("#people li")].map((e) => e.textContent).sort().join() === want, names.sort().join());

/** signIn says a name and scans the code with a phone. */
async function signIn(page, person, name) {
  await page.fill("#name", name);
  await page.press("#name", "Enter");
  await page.locator("posthouse-login [part=code] svg").waitFor();
  await shot(page, `sign-in-${person}`);
  const ticket = await page.evaluate(() => JSON.parse(sessionStorage.getItem("posthouse.login.")).ticket);
  const answer = await fetch(`${gateway}/sim/scan`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ person, ticket, follow: true }) });
  check(answer.ok, `the scan is answered ${answer.status}`);
  await state(page, "connected");
}

const ada = await open({ viewport: { width: 1280, height: 800 }, locale: "en" });
await state(ada, "sign-in");
await everywhere(ada, "the introduction").catch((e) => wrong.push(e.message));
await signIn(ada, "ada", "Ada");
await here(ada, ["Ada"]);
check(await ada.isVisible("#empty"), "an empty board does not say so");
const bo = await open({ viewport: { width: 320, height: 640 }, locale: "zh-CN", colorScheme: "dark" });
await signIn(bo, "bo", "阿波");
await here(ada, ["Ada", "阿波"]);

// A note goes to the back end and from there to everybody, as text whatever it is.
await pin(ada, "The release goes out at three. <b>Who</b> writes the notes?");
await pinned(bo, "The release goes out");
check(await bo.$("#notes b") === null, "HTML got through");
await pin(bo, "收到，我来写说明。");

await pinned(ada, "收到");
check(JSON.stringify(await texts(ada)) === JSON.stringify(await texts(bo)), "two boards");
check(await ada.locator("#notes button").count() === 1, "other people's notes can be taken down");
await everywhere(ada, "the board").catch((e) => wrong.push(e.message));

// The back end speaks of itself.
await fetch(`${board}/announce`, { method: "POST", body: "Lunch is here." });
await ada.locator("#announcement", { hasText: "Lunch is here." }).waitFor();
await bo.locator("#announcement", { hasText: "Lunch is here." }).waitFor();
await shot(ada, "board");
await shot(bo, "board-320-dark");
await ada.emulateMedia({ colorScheme: "dark" });
await shot(ada, "board-dark");
await everywhere(ada, "the board, dark").catch((e) => wrong.push(e.message));
await ada.emulateMedia({ colorScheme: "light" });
await bo.emulateMedia({ colorScheme: "light" });
await shot(bo, "board-320");
check(await bo.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "a page of 320 scrolls sideways");

// A reload needs no new code and finds the notes. The one who leaves is seen to leave.
await bo.reload();
await state(bo, "connected");
check((await texts(bo)).length === 2, "notes after a reload");
await ada.locator("#notes button").click();
await bo.waitForFunction(() => document.querySelectorAll("#notes li").length === 1);
await bo.close();
await here(ada, ["Ada"]);

await browser.close();
if (wrong.length) {
  console.log(wrong.join("\n"));
  process.exit(1);
}
console.log("ok");
