// The official page in Chromium: node page.mjs SCREENSHOTS BASE…
// The page comes from the first server; a client of each is seen, joins, leaves and is disconnected.
import { createRequire } from "node:module";
import { join } from "node:path";
const require = createRequire(join(process.env.NODE_PATH, "x.js"));
const { chromium } = require("playwright-core");
const { io } = require("socket.io-client");

const [shots, ...bases] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await (await browser.newContext({ viewport: { width: 1400, height: 900 }, locale: "en" })).newPage();
page.setDefaultTimeout(20000);
const errors = [];
page.on("pageerror", (e) => errors.push(e.message));
page.on("console", (m) => m.type() === "error" && errors.push(m.text()));
// The reload ends polls, and files that are still on their way.
page.on("requestfailed", (r) => !r.url().includes("/socket.io/") && r.failure().errorText !== "net::ERR_ABORTED" && errors.push(`${r.url()}: ${r.failure().errorText}`));
page.on("request", (r) => { if (!r.url().startsWith(bases[0]) && !r.url().startsWith("data:")) errors.push(`a request to ${r.url()}`); });
const shot = (name) => shots && page.screenshot({ path: join(shots, `${name}.png`) });
const go = (hash) => page.evaluate((h) => { location.hash = h; }, hash);
const row = (text) => page.locator("tr", { hasText: text }).first();

const clients = [];
for (const base of bases) {
  const socket = io(base, { forceNew: true, reconnection: false, transports: ["websocket"] });
  await new Promise((yes, no) => { socket.once("connect", yes); socket.once("connect_error", no); });
  clients.push(socket);
}

// A wrong password opens the dialog again; the right one closes it.
await page.goto(`${bases[0]}/admin`);
const dialog = page.locator(".v-dialog--active");
await dialog.waitFor();
await shot("1-dialog");
if ((await dialog.getByLabel("Server URL").inputValue()) !== bases[0]) throw new Error("the address is not preset");
await dialog.getByLabel("Username").fill("admin");
await dialog.getByLabel("Password").fill("wrong");
await dialog.locator("button[type=submit]").click();
await dialog.getByText("Invalid credentials").waitFor();
await dialog.getByLabel("Password").fill("changeit");
await dialog.locator("button[type=submit]").click();
await dialog.waitFor({ state: "hidden" });

// The dashboard and the servers.
await page.getByText("Servers").first().waitFor();
await page.getByText("Connected").first().waitFor();
await shot("2-dashboard");
await go("/servers/");
for (const id of ["go1", "go2", "node"].slice(0, bases.length)) await row(id).waitFor();
await shot("3-servers");

for (const [i, client] of clients.entries()) {
  await go("/sockets/");
  await row(client.id).waitFor();
  if (i === 0) await shot("4-sockets");
  await go(`/n/${encodeURIComponent("/")}/sockets/${client.id}`);
  const form = page.locator("form", { has: page.locator(".select-room") });
  await form.locator("input").first().fill("room1");
  await form.locator("button[type=submit]").click();
  const room = page.locator(".v-card", { has: page.locator(".select-room") }).locator("tbody tr", { hasText: "room1" });
  await room.waitFor();
  await shot(`5-socket-${i}`);
  await room.locator("button").click();
  await room.waitFor({ state: "detached" });
}
await go("/rooms/");
await shot("6-rooms");
await go("/clients/");
await page.locator("tbody tr").nth(bases.length).waitFor(); // the administrator is one as well
await shot("7-clients");

// Each is disconnected from the list.
for (const client of clients) {
  const id = client.id;
  const reason = new Promise((yes) => client.once("disconnect", yes));
  await go("/sockets/");
  await row(id).locator("button").first().click(); // which opens its details, too
  if ((await reason) !== "io server disconnect") throw new Error("reason");
  await go("/sockets/");
  await row(id).waitFor({ state: "detached" });
}
await go("/events/");
await page.locator("tbody tr").first().waitFor();
await shot("8-events");

// A reload needs no password.
await page.goto(`${bases[0]}/admin/#/servers/`);
await page.reload();
await row("go1").waitFor();
if (await page.locator(".v-dialog--active").count()) throw new Error("the reloaded page asks for a password");
if (errors.length) throw new Error(errors.join("\n"));
await browser.close();
console.log("ok");
process.exit(0);
