// Every state of the login page: node states.mjs SCREENSHOTS JSON
// JSON names a gateway for each case: {expired, confirm, limited, moved, refused, plain, restart}.
import { audit, decode, fail, is, open, post, run, saying, scan, state, ticket, words } from "./page.mjs";

const [shots, json] = process.argv.slice(2);
const url = (page) => page.evaluate(() => JSON.parse(sessionStorage.getItem("posthouse.login.")).url);

await run({
  async expired(base) {
    const page = await open(base);
    await state(page, "waiting");
    const first = await ticket(page);
    await page.waitForFunction((t) => JSON.parse(sessionStorage.getItem("posthouse.login."))?.ticket !== t, first); // it renews by itself
    await page.waitForFunction(() => document.querySelector("main").dataset.state === "expired" && document.activeElement.id === "refresh", null, { timeout: 30000 });
    await page.waitForTimeout(1500); // … but not for ever
    is(await page.getAttribute("main", "data-state"), "expired", "renews for ever");
    is(await page.evaluate(() => window.said.filter((s) => s.includes("微信扫一扫")).length), 4, "codes, with three that came by themselves");
    await audit(page, "expired", { shots });
    // A connection that comes back is no reason to take another code.
    await page.context().setOffline(true);
    await page.waitForSelector("#offline:not([hidden])");
    await page.context().setOffline(false);
    await page.waitForSelector("#offline[hidden]", { state: "attached" });
    is(await page.getAttribute("main", "data-state"), "expired", "after a reconnection");
    await page.focus("#refresh");
    await page.keyboard.press("Enter"); // by keyboard
    await state(page, "waiting");
  },
  async confirm(base) {
    const page = await open(base);
    await state(page, "waiting");
    await scan(base, "anna", await ticket(page));
    await state(page, "claimed");
    const number = (await page.textContent("#number")).trim();
    if (!/^\d\d$/.test(number) || !(await words(page)).includes(number)) fail(`number ${number}`);
    await saying(page, number);
    await audit(page, "claimed", { shots });
    await page.reload(); // and the number is there again
    await state(page, "claimed");
    is((await page.textContent("#number")).trim(), number, "the number after a reload");
    await post(base, "/sim/text", { person: "anna", text: number });
    await state(page, "done");
    await audit(page, "done", { shots });

    const refused = await open(base, { locale: "en" });
    await state(refused, "waiting");
    await scan(base, "bea", await ticket(refused));
    await state(refused, "claimed");
    await post(base, "/sim/text", { person: "bea", text: "不是我" });
    await state(refused, "denied");
    await audit(refused, "denied", { shots });
  },
  async limited(base) {
    const page = await open(base);
    await state(page, "waiting");
    const second = await open(base);
    await state(second, "limited");
    if (!/\d+ 秒/.test(await words(second))) fail("no time in: " + (await words(second)));
    await audit(second, "limited", { shots });
    const said = await second.evaluate(() => window.said.filter((s) => s.includes("频繁")).length);
    is(said, 1, "times that the limit was spoken while it counted down");
  },
  // A duplicated tab has the same ticket: it takes the login over.
  async moved(base) {
    const first = await open(base);
    await state(first, "waiting");
    const mine = await ticket(first);
    const kept = await first.evaluate(() => sessionStorage.getItem("posthouse.login."));
    const second = await open(base, { before: (p) => p.addInitScript((v) => sessionStorage.setItem("posthouse.login.", v), kept) });
    await state(second, "waiting");
    is(await ticket(second), mine, "the ticket of the second tab");
    await state(first, "moved");
    await audit(first, "moved", { shots });
    is(await decode(first, "#stage"), undefined, "a code that signs in another tab");
    await first.click("#refresh"); // a code of its own, which the other tab does not feel
    await state(first, "waiting");
    if ((await ticket(first)) === mine) fail("the first tab took the ticket back");
    is(await second.getAttribute("main", "data-state"), "waiting", "the second tab");
    await scan(base, "dora", mine);
    await state(second, "done");
    is(await first.getAttribute("main", "data-state"), "waiting", "the first tab after the login of the second");
    await scan(base, "emil", await ticket(first));
    await state(first, "done");
  },
  // Behind a proxy that does not forward the page's Host.
  async refused(base) {
    for (const locale of ["zh-CN", "en"]) {
      const page = await open(base, { locale });
      await state(page, "refused");
      is(await page.isVisible("#offline"), false, "a network that is to blame");
      await audit(page, "refused", { shots });
      is(await decode(page, "#stage"), undefined, "a code");
      await page.click("#refresh");
      await state(page, "refused");
    }
  },
  async plain(base) {
    for (const locale of ["zh-CN", "en"]) {
      // The skeleton, for as long as the code is on its way.
      let go;
      const page = await open(base, { locale, before: (p) => p.route("**/login/qr.svg*", async (r) => { await new Promise((done) => { go = done; }); await r.continue(); }) });
      await page.waitForFunction(() => performance.getEntriesByType("resource").length > 5);
      await audit(page, "loading", { shots });
      go();
      await state(page, "waiting");
      await audit(page, "waiting", { shots, qr: await url(page) });
      if (!(await page.getByRole("img").getAttribute("aria-label")).includes("Posthouse")) fail("the code does not name the account");
      await page.emulateMedia({ forcedColors: "active", colorScheme: "dark" });
      is(await decode(page, "#qr"), await url(page), "with forced colours the code reads");
    }

    await post(base, "/sim/faults", { kind: "api_status", api: "qrcode/create" });
    const page = await open(base);
    await state(page, "unavailable");
    await audit(page, "unavailable", { shots });
    await fetch(base + "/sim/faults", { method: "DELETE" });
    await page.waitForTimeout(6000); // the breaker lets one through again
    if ((await page.getAttribute("main", "data-state")) === "unavailable") await page.click("#refresh");
    await state(page, "waiting");

    await post(base, "/sim/faults", { kind: "api_error", api: "qrcode/create", errcode: 48001 });
    const typed = await open(base, { colorScheme: "dark" });
    await state(typed, "typed");
    is(await typed.isVisible("#other"), false, "a way back to a QR code that cannot be made");
    await audit(typed, "typed", { shots });
    const code = (await typed.textContent("#typed-code")).replace(/\s/g, "");
    await post(base, "/sim/follow", { person: "carl" });
    await post(base, "/sim/text", { person: "carl", text: code });
    await state(typed, "done");
    await fetch(base + "/sim/faults", { method: "DELETE" });
  },
  async restart(base) {
    const page = await open(base, { locale: "en" });
    await state(page, "waiting");
    await saying(page, "Scan with WeChat");
    console.log("kill");
    await page.waitForSelector("#offline:not([hidden])", { timeout: 15000 });
    is(await page.getAttribute("main", "data-state"), "waiting", "the code went away with the connection");
    await saying(page, "Reconnecting");
    await audit(page, "offline", { shots });
    console.log("start");
    await page.waitForSelector("#offline[hidden]", { state: "attached", timeout: 20000 });
    // Meanwhile the store has lost everything: a new code comes by itself.
    await page.waitForFunction(() => window.said.filter((s) => s.includes("Scan with WeChat")).length === 2);
    await state(page, "waiting");
  },
}, JSON.parse(json));
