// Every state of the login page: node states.mjs SCREENSHOTS JSON
// JSON names a gateway for each case: {expired, confirm, limited, plain, restart}.
import { createRequire } from "node:module";
import { join } from "node:path";
const require = createRequire(join(process.env.NODE_PATH, "x.js"));
const { chromium } = require("playwright-core");

const [shots, json] = process.argv.slice(2);
const bases = JSON.parse(json);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const fail = (why) => { throw new Error(why); };
async function open(base, options = {}) {
  const context = await browser.newContext({ viewport: { width: 768, height: 900 }, locale: "zh-CN", ...options });
  const page = await context.newPage();
  page.on("pageerror", (e) => fail(`${base}: ${e.message}`));
  await page.goto(base + "/login");
  return page;
}
const shot = async (page, name) => {
  await page.waitForTimeout(250); // transitions
  if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
};
const state = (page, name, timeout = 15000) => page.waitForSelector(`main[data-state=${name}]`, { timeout });
const words = (page) => page.textContent("#words");
const post = async (base, path, body) => {
  const answer = await fetch(base + path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  return answer.json();
};
const ticket = (page) => page.evaluate(() => JSON.parse(sessionStorage.getItem("posthouse.login.")).ticket);

const cases = {
  async expired(base) {
    const page = await open(base);
    await state(page, "waiting");
    const first = await ticket(page);
    await page.waitForFunction((t) => JSON.parse(sessionStorage.getItem("posthouse.login."))?.ticket !== t, first); // it renews by itself
    await page.waitForFunction(() => document.querySelector("main").dataset.state === "expired" && document.activeElement.id === "refresh", null, { timeout: 30000 });
    await page.waitForTimeout(1500); // … but not for ever
    if ((await page.getAttribute("main", "data-state")) !== "expired") fail("renews for ever");
    await shot(page, "state-expired");
    await page.keyboard.press("Enter"); // by keyboard
    await state(page, "waiting");
  },
  async confirm(base) {
    const page = await open(base);
    await state(page, "waiting");
    await post(base, "/sim/scan", { person: "anna", ticket: await ticket(page), follow: true });
    await state(page, "claimed");
    const number = (await page.textContent("#number")).trim();
    if (!/^\d\d$/.test(number) || !(await words(page)).includes(number)) fail(`number ${number}`);
    await shot(page, "state-claimed");
    await post(base, "/sim/text", { person: "anna", text: number });
    await state(page, "done");

    const refused = await open(base);
    await state(refused, "waiting");
    await post(base, "/sim/scan", { person: "bea", ticket: await ticket(refused), follow: true });
    await state(refused, "claimed");
    await post(base, "/sim/text", { person: "bea", text: "不是我" });
    await state(refused, "denied");
    await shot(refused, "state-denied");
  },
  async limited(base) {
    const page = await open(base);
    await state(page, "waiting");
    const second = await open(base);
    await state(second, "limited");
    if (!/\d+ 秒/.test(await words(second))) fail("no time in: " + (await words(second)));
    await shot(second, "state-limited");
  },
  async plain(base) {
    await post(base, "/sim/faults", { kind: "api_status", api: "qrcode/create" });
    const page = await open(base);
    await state(page, "unavailable");
    await shot(page, "state-unavailable");
    await fetch(base + "/sim/faults", { method: "DELETE" });
    await page.waitForTimeout(6000); // the breaker lets one through again
    await page.click("#refresh");
    await state(page, "waiting");

    await post(base, "/sim/faults", { kind: "api_error", api: "qrcode/create", errcode: 48001 });
    const typed = await open(base, { colorScheme: "dark" });
    await state(typed, "typed");
    await shot(typed, "state-typed-dark");
    const code = (await typed.textContent("#typed-code")).replace(/\s/g, "");
    await post(base, "/sim/follow", { person: "carl" });
    await post(base, "/sim/text", { person: "carl", text: code });
    await state(typed, "done");
    await fetch(base + "/sim/faults", { method: "DELETE" });

    // A phone, inside WeChat and outside.
    const inside = await open(base, { viewport: { width: 390, height: 844 }, userAgent: "Mozilla/5.0 (iPhone) MicroMessenger/8.0" });
    await inside.waitForSelector("main[data-state=waiting], main[data-state=typed], main[data-state=unavailable]");
    await shot(inside, "state-in-wechat");
  },
  async restart(base) {
    const page = await open(base, { locale: "en" });
    await state(page, "waiting");
    console.log("kill");
    await page.waitForSelector("#offline:not([hidden])", { timeout: 15000 });
    if ((await page.getAttribute("main", "data-state")) !== "waiting") fail("the code went away with the connection");
    await shot(page, "state-offline");
    console.log("start");
    await page.waitForSelector("#offline[hidden]", { state: "attached", timeout: 20000 });
    await state(page, "waiting");
  },
};
for (const [name, run] of Object.entries(cases)) {
  if (!bases[name]) continue;
  try {
    await run(bases[name]);
    console.log(`${name}: ok`);
  } catch (e) {
    console.error(`${name}: ${e.stack}`);
    process.exitCode = 1;
  }
}
await browser.close();
