// <posthouse-login> in pages of another origin: node element.mjs GATEWAY PAGE STRANGER SCREENSHOTS
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { accessible, browser, decode, fail, is, post, scan } from "./page.mjs";

const [gateway, host, stranger, shots] = process.argv.slice(2);
const page = await (await browser.newContext({ viewport: { width: 900, height: 900 }, locale: "en" })).newPage();
page.setDefaultTimeout(15_000);
const errors = [];
page.on("pageerror", (e) => errors.push(e.message));
page.on("console", (m) => m.type() === "error" && errors.push(m.text()));
const sockets = new Set();
page.on("websocket", (s) => { sockets.add(s); s.on("close", () => sockets.delete(s)); });
const event = (id, type) => page.waitForFunction(([i, t]) => window.events.find((e) => e.id === i && e.type === t), [id, type]).then((h) => h.jsonValue());
const forget = () => page.evaluate(() => { window.events.length = 0; });
const kept = (key) => page.evaluate((k) => JSON.parse(sessionStorage.getItem("posthouse.login." + k)), key);
const part = (id, name) => page.locator(`#${id} [part=${name}]`);

// Three on one page, one of them inside a shadow, keep apart.
await page.goto(host);
for (const id of ["one", "two", "three"]) {
  await part(id, "code").locator("svg").waitFor();
  is((await decode(page, `#${id} [part=code]`)).startsWith(gateway), true, `${id}: the code reads`);
}
const tickets = await page.evaluate(() => Object.keys(sessionStorage).map((k) => JSON.parse(sessionStorage[k]).ticket));
is(new Set(tickets).size, 3, "tickets of three elements");
is((await part("one", "words").textContent()).includes("Scan with WeChat"), true, "words of one");
is((await part("two", "words").textContent()).includes("微信扫一扫"), true, "words of two: the section's language");
is(await page.evaluate(() => getComputedStyle(document.getElementById("two")).colorScheme), "dark", "the theme");
await page.evaluate(() => { document.querySelector("section").style.background = "#121314"; });
await accessible(page, "the host page");
if (shots) await page.screenshot({ path: join(shots, "element.png") });
// The first that asked has the plain key; whose it is does not matter to people.
const mine = await kept("");
await scan(gateway, "eve", mine.ticket);
const { token } = await page.waitForFunction(() => window.events.find((e) => e.type === "token")).then((h) => h.jsonValue());
is(token.split(".").length, 3, "parts of the token");
is((await page.evaluate(() => window.events.filter((e) => e.type === "token"))).length, 1, "tokens");

// Taken out of the page nothing of it stays; put back it goes on with the same code.
sockets.clear(); // of the page before
await page.reload();
await page.waitForFunction(() => window.events.filter((e) => e.state === "waiting").length === 3);
const before = await page.evaluate(() => Object.keys(sessionStorage).filter((k) => k.startsWith("posthouse.login.")).map((k) => JSON.parse(sessionStorage[k]).ticket).sort().join());
await page.evaluate(() => {
  window.all = [document.getElementById("one"), document.getElementById("two"), document.getElementById("shadow")].map((e) => [e, e.parentNode]);
  for (const [e] of window.all) e.remove();
});
for (let n = 0; sockets.size && n < 50; n++) await page.waitForTimeout(100); // one may be upgrading
is(sockets.size, 0, "sockets after the removal");
const asked = [];
page.on("request", (r) => asked.push(r.url()));
await page.waitForTimeout(3000); // longer than any reconnection waits
is(asked.join(), "", "requests after the removal");
await forget();
await page.evaluate(() => { for (const [e, parent] of window.all) { parent.append(e); e.remove(); parent.append(e); } }); // clumsily
await page.waitForFunction(() => window.events.filter((e) => e.state === "waiting").length === 3);
is(await page.evaluate(() => Object.keys(sessionStorage).filter((k) => k.startsWith("posthouse.login.")).map((k) => JSON.parse(sessionStorage[k]).ticket).sort().join()), before, "the tickets after putting back");

// An account that is not there is a failure; what it is changed to is tried.
await forget();
await page.evaluate(() => document.getElementById("one").setAttribute("account", "nobody"));
is((await event("one", "failure")).code, "unknown_account", "the failure");
errors.splice(0, errors.length, ...errors.filter((e) => !e.includes("404"))); // the browser says so as well

// With a challenge of the page's own server the token never comes here: the code does.
const verifier = randomBytes(32).toString("base64url");
const challenge = createHash("sha256").update(verifier).digest("base64url");
await page.evaluate((c) => { document.getElementById("one").setAttribute("challenge", c); document.getElementById("one").removeAttribute("account"); }, challenge);
const ticket = await page.waitForFunction((c) => Object.values(sessionStorage).map((v) => JSON.parse(v)).find((v) => v.challenge === c)?.ticket, challenge).then((h) => h.jsonValue());
await scan(gateway, "fay", ticket);
const { code, expiresIn } = await event("one", "code");
is(expiresIn > 30 && expiresIn <= 60, true, `the code lives ${expiresIn} s`);
is((await post(gateway, "/login/exchange", { code, verifier })).token.split(".").length, 3, "parts of the exchanged token");
is(await page.evaluate(() => window.events.some((e) => e.type === "token")), false, "a token in the page");
is(errors.join("\n"), "", "errors of the page");

// The example of examples/login as it stands there.
await page.goto(host + "/example");
await page.locator("posthouse-login [part=code] svg").waitFor();
await page.locator("posthouse-login [part=other]").click(); // by typing, this time
await page.waitForFunction(() => /^\w{4} \w{4}$/.test(document.querySelector("posthouse-login").shadowRoot.querySelector("[part=code]").textContent));
is(await page.evaluate(() => document.querySelector("posthouse-login").shadowRoot.activeElement.part.value), "words", "the focus");
await accessible(page, "the example");
if (shots) await page.screenshot({ path: join(shots, "element-typed.png") });
const typed = (await page.locator("posthouse-login [part=code]").textContent()).replace(" ", "");
await post(gateway, "/sim/follow", { person: "gil" });
await post(gateway, "/sim/text", { person: "gil", text: typed });
await page.locator("#who", { hasText: "Signed in until" }).waitFor();
is(errors.join("\n"), "", "errors of the example");

// A page that is not listed gets nothing.
await page.goto(stranger);
await page.waitForTimeout(1500);
is(await page.evaluate(() => Boolean(customElements.get("posthouse-login"))), false, "the element in a page that is not listed");
await browser.close();
if (process.exitCode) fail("see above");
console.log("ok");
