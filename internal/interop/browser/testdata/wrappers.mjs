// The components of the npm package: node wrappers.mjs HOST
import { createRequire } from "node:module";
import { join } from "node:path";
const require = createRequire(join(process.env.NODE_PATH, "x.js"));
const { chromium } = require("playwright-core");

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const wrong = [];
const page = await browser.newPage();
page.setDefaultTimeout(30_000);
page.on("pageerror", (error) => wrong.push(error.stack));
await page.goto(process.argv[2]);
try {
  for (const who of ["react", "vue"]) {
    // The element is that of the gateway, its attributes are given on, and its states come back.
    await page.waitForSelector(`#${who} posthouse-login.box[lang=en][theme=dark][src]:defined`);
    await page.waitForFunction((who) => events.some((e) => e.who === who && e.type === "State" && e.detail.state === "waiting"), who);
    // So do the others, with their details.
    await page.evaluate((who) => {
      const element = document.querySelector(`#${who} posthouse-login`);
      element.dispatchEvent(new CustomEvent("token", { detail: { token: "jwt" } }));
      element.dispatchEvent(new CustomEvent("failure", { detail: { code: "expired", message: "late" } }));
      element.dispatchEvent(new CustomEvent("code", { detail: { code: "c", expiresIn: 60 } }));
    }, who);
    const got = await page.evaluate((who) => JSON.stringify(events.filter((e) => e.who === who && e.type !== "State").map((e) => [e.type, e.detail])), who);
    const want = '[["Token",{"token":"jwt"}],["Failure",{"code":"expired","message":"late"}],["Code",{"code":"c","expiresIn":60}]]';
    if (got !== want) wrong.push(`${who}: ${got}`);
  }
  // A component that is taken out leaves no element behind.
  await page.evaluate(() => { root.unmount(); app.unmount(); });
  await page.waitForFunction(() => !document.querySelector("posthouse-login"));
} catch (error) {
  wrong.push(error.message, JSON.stringify(await page.evaluate(() => window.events)));
}
await browser.close();
console.log(wrong.length ? wrong.join("\n") : "ok");
