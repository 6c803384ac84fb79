// What people do with the login page, and what they must not have to notice:
// node care.mjs JSON, which names a gateway for each case.
import { createHash } from "node:crypto";
import { open as openFile } from "node:fs/promises";
import { accessible, browser, everywhere, fail, fits, focused, is, open, run, saying, scan, state, ticket } from "./page.mjs";

const codes = async (base) => (await (await fetch(base + "/sim/state?account=&person=&since=")).json()).codes.length;
const said = (page) => page.evaluate(() => window.said);
// tab walks from the top through the page and says where it was; leaving it ends it.
async function tab(page) {
  await page.focus(".wordmark");
  const stops = [await focused(page)];
  for (let n = 0; n < 12; n++) {
    await page.keyboard.press("Tab");
    const at = await focused(page);
    if (at === "body" || stops[0] === at) return stops.join(" ");
    const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    if (ring === "none") fail(`no ring around ${at}`);
    stops.push(at);
  }
  fail(`a trap: ${stops.join(" ")}`);
}
// hide makes document.hidden what a test says.
const hide = (page) => page.addInitScript(() => {
  window.away = true;
  Object.defineProperty(Document.prototype, "hidden", { get: () => window.away });
});
const look = (page, away) => page.evaluate((a) => { window.away = a; document.dispatchEvent(new Event("visibilitychange")); }, away);

await run({
  // By keyboard alone: from the square to a code to type, the clipboard, and back.
  async keyboard(base) {
    const page = await open(base, { locale: "en" });
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await state(page, "waiting");
    is(await tab(page), "wordmark other", "the stops while waiting");
    await page.focus("#other");
    await page.keyboard.press("Enter");
    await state(page, "typed");
    is(await focused(page), "words", "the focus after its button went away");
    const code = await page.textContent("#typed-code");
    await saying(page, [...code.replace(" ", "")].join(" "));
    is(await tab(page), "wordmark copy other", "the stops with a code to type");
    await page.focus("#copy");
    await page.keyboard.press("Enter");
    await saying(page, "Copied");
    is(await page.textContent("#copy"), "Copied", "the button");
    is(await page.evaluate(() => navigator.clipboard.readText()), code.replace(" ", ""), "the clipboard");
    await page.waitForFunction(() => document.getElementById("copy").textContent === "Copy");
    await page.context().clearPermissions();
    await page.evaluate(() => { navigator.clipboard.writeText = () => Promise.reject(new Error("no")); });
    await page.keyboard.press("Enter");
    await saying(page, "Copy it by hand");
    is(await page.evaluate(() => getSelection().toString().replace(/\s/g, "")), code.replace(" ", ""), "the selection");
    await page.reload(); // the same code, still to type
    await state(page, "typed");
    is(await page.textContent("#typed-code"), code, "the code after a reload");
    await page.focus("#other");
    await page.keyboard.press("Space");
    await state(page, "waiting");
    const left = await codes(base);
    if (left !== 2) fail(`${left} QR codes were made, want 2: codes to type cost none`);
  },
  // The time left is spoken at 60, 30 and 10 seconds, and not otherwise.
  async clock(base) {
    const page = await open(base, { locale: "en", reducedMotion: "reduce" });
    await state(page, "waiting");
    await saying(page, "Scan with WeChat");
    const deadline = await page.evaluate(() => JSON.parse(sessionStorage.getItem("posthouse.login.")).deadline);
    for (const left of [200, 61, 60, 45, 29, 20, 10, 9, 5]) {
      await page.clock.setFixedTime(deadline - left * 1000);
      await page.waitForFunction((s) => document.getElementById("clock").textContent === s, `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`);
      await page.waitForTimeout(150);
    }
    is((await said(page)).filter((s) => s.includes("seconds left")).join(), "60 seconds left,29 seconds left,10 seconds left", "the time that was spoken");
    is(await page.getAttribute("#clock", "aria-hidden"), "true", "the clock is silent");
    is(await page.evaluate(() => document.getAnimations().length), 0, "animations although the person wants none");
    is(await page.evaluate(() => getComputedStyle(document.getElementById("ring")).transitionDuration), "0s", "the ring, with less motion");
  },
  // A tab that nobody looks at asks for nothing, and renews nothing.
  async background(base) {
    const page = await open(base, { before: hide });
    await page.waitForFunction(() => performance.getEntriesByType("resource").some((r) => r.name.includes("transport=")));
    await page.waitForTimeout(1500);
    is(await page.getAttribute("main", "data-state"), "loading", "unseen");
    is(await codes(base), 0, "codes for an unseen tab");
    await look(page, false);
    await state(page, "waiting");
    await look(page, true);
    await state(page, "expired");
    await page.waitForTimeout(1500);
    is(await page.getAttribute("main", "data-state"), "expired", "unseen after its end");
    await look(page, false);
    await state(page, "waiting");
  },
  // The limit counts down and lets go by itself.
  async limited(base) {
    const page = await open(base);
    await state(page, "waiting");
    let seen = false;
    for (let n = 0; n < 20 && !seen; n++) {
      await page.evaluate(() => document.getElementById("other").click());
      await page.waitForFunction(() => document.querySelector("main").dataset.state !== "loading");
      seen = (await page.getAttribute("main", "data-state")) === "limited";
    }
    if (!seen) fail("never limited");
    await page.waitForFunction(() => ["waiting", "typed"].includes(document.querySelector("main").dataset.state));
  },
  // Where the login leads: to an allowed place, and nowhere else.
  async leads(base) {
    const page = await open(base, { query: "?returnTo=/healthz" });
    await state(page, "waiting");
    await scan(base, "dora", await ticket(page));
    await state(page, "done");
    is((await page.textContent("#words")).trim(), "登录成功，正在跳转…", "the words");
    await page.waitForURL(base + "/healthz");
    const stays = await open(base, { query: "?returnTo=https://evil.example/" });
    await state(stays, "waiting");
    await scan(base, "emil", await ticket(stays));
    await state(stays, "done");
    await stays.waitForTimeout(1200);
    is(new URL(stays.url()).origin, base, "after a login with a foreign returnTo");
    is((await stays.textContent("#words")).trim(), "登录成功", "the words of who stays");

    // With a challenge the application's back end gets a code, and the page no token.
    const verifier = "v".repeat(43);
    const challenge = createHash("sha256").update(verifier).digest("base64url");
    const coded = await open(base, { query: `?returnTo=${encodeURIComponent("/healthz?keep=1")}&challenge=${challenge}` });
    await state(coded, "waiting");
    await scan(base, "fred", await ticket(coded));
    await coded.waitForURL(`${base}/healthz?keep=1&code=*`);
    is(await coded.evaluate(() => sessionStorage.getItem("posthouse.token")), null, "the token in the page");
    const code = new URL(coded.url()).searchParams.get("code");
    const trade = (proof) => fetch(base + "/login/exchange", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ code, verifier: proof }) });
    is((await trade("w".repeat(43))).status, 401, "another verifier");
    const traded = await trade(verifier);
    is((await traded.json()).token.split(".").length, 3, "parts of the token");
    for (const query of ["?returnTo=/x&challenge=short", `?challenge=${challenge}`, `?returnTo=https://evil.example/&challenge=${challenge}`]) {
      is((await fetch(base + "/login" + query)).status, 400, query);
    }
  },
  // A network that goes and comes: the code stays on the screen all the time.
  async network(base) {
    const page = await open(base);
    await state(page, "waiting");
    const before = await ticket(page);
    await page.evaluate(() => {
      window.states = [];
      new MutationObserver(() => window.states.push(document.querySelector("main").dataset.state)).observe(document.querySelector("main"), { attributeFilter: ["data-state"] });
    });
    await page.context().setOffline(true);
    await page.waitForSelector("#offline:not([hidden])");
    await page.waitForTimeout(1000);
    await page.context().setOffline(false);
    await page.waitForSelector("#offline[hidden]", { state: "attached" });
    await page.evaluate(() => dispatchEvent(new Event("online"))); // a false alarm
    await scan(base, "finn", before);
    await state(page, "done");
    is((await page.evaluate(() => window.states)).filter((s) => s !== "waiting").join(), "done", "the states on the way");
  },
  // Inside WeChat a picture to press and hold; on another phone one to save.
  async phones(base) {
    const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
    const inside = await open(base, { ...phone, userAgent: "Mozilla/5.0 (iPhone) MicroMessenger/8.0" });
    await state(inside, "waiting");
    if (!(await inside.textContent("#words")).includes("长按识别二维码")) fail("no word about pressing");
    const picture = inside.getByRole("img", { name: "Posthouse" });
    is(await picture.evaluate((e) => e.localName + e.naturalWidth > "img200"), true, "the picture to press");
    is(await inside.isVisible("#save"), false, "saving inside WeChat");
    await accessible(inside, "inside WeChat");
    const outside = await open(base, phone);
    await state(outside, "waiting");
    const [download] = await Promise.all([outside.waitForEvent("download"), outside.click("#save")]);
    const file = await openFile(await download.path());
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
    await file.close();
    is(buffer.toString("latin1", 1), "PNG", "what is saved");
    await accessible(outside, "a phone outside WeChat");
    await fits(outside, "a phone outside WeChat");
    if ((await outside.locator("#other").boundingBox()).height < 44) fail("too small for a thumb");
  },
  // An account with a long name moves nothing and is cut off nowhere.
  async long(base) {
    for (const locale of ["zh-CN", "en"]) {
      const page = await open(base, { locale });
      const square = () => page.locator("#stage").boundingBox().then(({ x, y }) => `${x},${y}`);
      const before = await square();
      await state(page, "waiting");
      is(await square(), before, "the square");
      await everywhere(page, "a long name");
      await page.click("#other");
      await state(page, "typed");
      await everywhere(page, "a long name, by typing");
      // Codes are made at random: the widest has nothing but the widest letter.
      await page.evaluate(() => { document.getElementById("typed-code").textContent = "mmmm mmmm"; });
      await everywhere(page, "the widest code");
    }
  },
  // Without JavaScript the page says what to do, and nothing that is not so.
  async noscript(base) {
    for (const [locale, hint] of [["zh-CN", "请开启 JavaScript"], ["en", "turn on JavaScript"]]) {
      const page = await (await browser.newContext({ javaScriptEnabled: false, locale })).newPage();
      await page.goto(base + "/login");
      const text = await page.innerText("main");
      if (!text.includes(hint) || !text.includes("Posthouse")) fail("without JavaScript: " + text);
      is(await page.isVisible("#stage"), false, "a skeleton that never ends");
    }
  },
}, JSON.parse(process.argv[2]));
