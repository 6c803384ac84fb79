// What the browser tests of the login share: a browser, a page that complains, the
// ways to each state, and the audit that every state passes.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
const require = createRequire(join(process.env.NODE_PATH, "x.js"));
const { chromium } = require("playwright-core");
export const { accessible, everywhere, fits, resize, windows } = await import(pathToFileURL(join(process.env.NODE_PATH, "..", "accessible.mjs")));
const jsQR = readFileSync(join(process.env.NODE_PATH, "jsqr", "dist", "jsQR.js"), "utf8");

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
export const fail = (why) => { throw new Error(why); };
export const is = (got, want, what) => { if (got !== want) fail(`${what}: ${JSON.stringify(got)}, want ${JSON.stringify(want)}`); };

export async function open(base, { query = "", before, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 768, height: 900 }, locale: "zh-CN", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.on("pageerror", (e) => { console.error(`${base}: ${e.stack}`); process.exitCode = 1; });
  // Everything the live region has said, in order.
  await page.addInitScript(() => {
    window.said = [];
    document.addEventListener("DOMContentLoaded", () => {
      const live = document.getElementById("live");
      if (live) new MutationObserver(() => live.textContent && window.said.push(live.textContent)).observe(live, { childList: true });
    });
  });
  await before?.(page);
  await page.goto(base + "/login" + query);
  return page;
}
export const state = (page, name, timeout = 15_000) => page.waitForSelector(`main[data-state=${name}]`, { timeout });
export const words = (page) => page.textContent("#words");
export const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.localName);
export const ticket = (page) => page.evaluate(() => JSON.parse(sessionStorage.getItem("posthouse.login.")).ticket);
export const saying = (page, text) => page.waitForFunction((t) => window.said.some((s) => s.includes(t)), text);
export async function post(base, path, body) {
  const answer = await fetch(base + path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  return answer.json();
}
export const scan = (base, person, code) => post(base, "/sim/scan", { person, ticket: code, follow: true });

// decode reads the QR code that is on the screen, as a phone's camera would.
let reader; // a page that reads them all
export async function decode(page, selector) {
  const picture = (await page.locator(selector).screenshot()).toString("base64");
  if (!reader) {
    reader = await browser.newPage();
    await reader.evaluate(jsQR);
  }
  return reader.evaluate(async (data) => {
    const bitmap = await createImageBitmap(await (await fetch("data:image/png;base64," + data)).blob());
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const { data: pixels } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    return globalThis.jsQR(pixels, bitmap.width, bitmap.height, { inversionAttempts: "dontInvert" })?.data;
  }, picture);
}

const squares = new Map(); // window → where the square is: the same in every state

// audit looks at one state as everybody would: both themes, all windows.
export async function audit(page, name, { qr, shots } = {}) {
  const language = await page.evaluate(() => document.documentElement.lang);
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map((a) => a.finished)));
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.waitForTimeout(50);
    await accessible(page, `${name}, ${colorScheme}`);
    for (const [width, height, letters = 1] of windows) {
      const what = `${name}, ${colorScheme}, ${width}x${height}, letters x${letters}`;
      await resize(page, [width, height, letters]);
      await fits(page, what);
      const box = await page.locator("#stage").boundingBox();
      const square = [box.x, box.y + await page.evaluate(() => scrollY), box.width].map(Math.round).join();
      const key = `${language} ${width}x${height}x${letters}`;
      if (!squares.has(key)) squares.set(key, square);
      else is(square, squares.get(key), `${what}: the square has moved`);
      if (qr) {
        const size = (await page.locator("#qr").boundingBox()).width;
        if (size < 220) fail(`${what}: the code has ${size} px`);
        is(await decode(page, "#qr"), qr, `${what}: the code reads`);
      }
      if (shots) await page.screenshot({ path: join(shots, `${name}-${language}-${colorScheme}-${width}x${height}x${letters}.png`) });
    }
  }
  await resize(page, [768, 900]);
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "no-preference" });
  await heard(page, name);
}

// heard looks at what a screen reader gets: Chromium's accessibility tree.
async function heard(page, name) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  const seen = nodes.filter((n) => !n.ignored);
  const property = (n, key) => n.properties?.find((p) => p.name === key)?.value.value;
  const roots = seen.filter((n) => property(n, "live") && property(n, "live") !== "off");
  is(roots.map((n) => property(n, "live")).join(), "polite", `${name}: live regions`);
  is(seen.filter((n) => n.role.value === "heading").length, 1, `${name}: headings`);
  for (const n of seen) if (["button", "link", "image"].includes(n.role.value) && !n.name?.value.trim()) fail(`${name}: a ${n.role.value} without a name`);
  const text = (await words(page)).trim();
  if (name !== "loading" && !(await page.evaluate(() => window.said)).some((s) => s.startsWith(text.replace(/\d+/, "").slice(0, 4)))) {
    fail(`${name}: ${text} was not said, but ${JSON.stringify(await page.evaluate(() => window.said))}`);
  }
  await session.detach();
}

// run plays the cases that have a gateway.
export async function run(cases, bases) {
  for (const [name, play] of Object.entries(cases)) {
    if (!bases[name]) continue;
    try {
      await play(bases[name]);
      console.log(`${name}: ok`);
    } catch (e) {
      console.error(`${name}: ${e.stack}`);
      process.exitCode = 1;
    }
  }
  await browser.close();
}
