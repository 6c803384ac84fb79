// Two people in two browsers: node browser.mjs ADAS_BASE BOS_BASE SCREENSHOTS
// It prints "cut" when Ada's connection is to be cut, and "mend" when it may come back.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { wrong, check, launch, open as openIn, state, introduce, write, arrived, texts, fits, end } from "./browser_page.mjs";
const { everywhere } = await import(pathToFileURL(join(process.env.NODE_PATH, "..", "accessible.mjs")));

const [adasBase, bosBase, shots] = process.argv.slice(2);
const browser = await launch();
const open = (base, options) => openIn(browser, base, options);
const shot = (page, name) => shots && page.screenshot({ path: join(shots, `${name}.png`) });
const room = (page, name) => page.click(`#rooms [data-room="${name}"]`);

// A name first. The server tells both of each other.
const ada = await open(adasBase, { viewport: { width: 1280, height: 800 }, locale: "en" });
await ada.waitForSelector("#introduction[open]");
await shot(ada, "introduction");
await everywhere(ada, "the introduction").catch((e) => wrong.push(e.message));
await introduce(ada, "Ada");
check((await ada.textContent("#empty")).includes("Say hello"), "an empty room does not say so");
await shot(ada, "empty");
const bo = await open(bosBase, { viewport: { width: 320, height: 640 }, locale: "zh-CN", colorScheme: "dark" });
await introduce(bo, "阿波");
await ada.locator("#people-list li", { hasText: "阿波" }).waitFor();
check((await bo.textContent("#people-toggle")) === "2 人在线", "Bo sees: " + await bo.textContent("#people-toggle"));
check(await fits(bo), "scrolls sideways at 320 px");

// Messages, as text whatever they are, in one order.
await write(ada, "Good morning! Does anybody know when the release goes out?");
await arrived(bo, "Good morning");
await write(bo, "今天下午三点。说明在 https://example.com/notes 。");
await arrived(ada, "今天下午三点");
await write(ada, "Thanks. <img src=x onerror=alert(1)> must stay text, by the way.");
await arrived(bo, "must stay text");
check(await bo.$("#messages img") === null, "HTML got through");
check(await ada.getAttribute("#messages a", "rel") === "noopener noreferrer nofollow", "a link is not marked");
check((await ada.textContent("#spoken")).includes("阿波: 今天下午三点"), "the message was not spoken");

// Typing shows and ends with the message.
await bo.locator("#text").pressSequentially("好");
await ada.locator("#typing", { hasText: "阿波 is typing" }).waitFor();
await shot(ada, "typing");
await everywhere(ada, "the chat").catch((e) => wrong.push(e.message));
await bo.press("#text", "Enter");
await ada.waitForFunction(() => document.querySelector("#typing").textContent === "");

// Another room has other people and messages; what comes here meanwhile is counted.
await room(bo, "help");
await bo.waitForFunction(() => document.querySelector("#empty").checkVisibility() && location.hash === "#help");
check(!(await texts(bo)).length, "messages of another room are here");
await write(ada, "The build is green.");
await write(ada, "Three o’clock it is, then.");
await bo.locator("#rooms .badge", { hasText: "2" }).waitFor();
check((await bo.title()).startsWith("(2) #help"), "title: " + await bo.title());
await room(bo, "lobby");
await bo.waitForSelector("#messages .divider");
check(await bo.$("#rooms .badge") === null, "the count stayed");
check((await texts(bo)).at(-1) === "Three o’clock it is, then.", "the last message is missing");
await shot(bo, "unread");

// By keyboard: a room of one's own, and back.
await ada.fill("#open-name", "  Garden  ");
await ada.press("#open-name", "Enter");
await ada.waitForSelector('#rooms [data-room="garden"][aria-current]');
await ada.waitForSelector(".scroll[data-loading=false]");
check(await ada.evaluate(() => document.activeElement.id) === "text", "the focus is not where one writes");
await ada.keyboard.press("Alt+ArrowDown");
await ada.waitForSelector('#rooms [data-room="lobby"][aria-current]');

// The connection is cut. Ada goes on writing; so does Bo.
console.log("cut");
await state(ada, "reconnecting");
await write(ada, "I am in a tunnel,");
await write(ada, "but this will get through.");
await ada.waitForSelector("#messages li[data-state=sending]");
await bo.waitForFunction(() => document.querySelector("#people-toggle").textContent === "1 人在线");
for (const text of ["隧道里没信号吧？", "没关系。", "我们等你。"]) await write(bo, text);
await arrived(bo, "我们等你");
await shot(ada, "offline");
check(!(await texts(ada)).includes("没关系。"), "the connection is not cut");
console.log("mend");
await state(ada, "connected");
check((await ada.textContent("#notice")) === "Back. 3 new while you were away.", "not recovered: " + await ada.textContent("#notice"));
await arrived(bo, "but this will get through.");
await ada.waitForFunction(() => !document.querySelector("#messages li[data-state=sending]"));
const [a, b] = [await texts(ada), await texts(bo)];
check(JSON.stringify(a) === JSON.stringify(b), `two orders:\n${a.join("\n")}\n--\n${b.join("\n")}`);
check(JSON.stringify(a.slice(-5)) === JSON.stringify(["隧道里没信号吧？", "没关系。", "我们等你。", "I am in a tunnel,", "but this will get through."]), "the end: " + a.slice(-5).join(" | "));
await bo.locator("#people-toggle", { hasText: "2 人在线" }).waitFor();

// A new name is seen at once; a reload remembers who one is and what was said.
await ada.click("#me");
await introduce(ada, "Ada L.");
await bo.click("#people-toggle");
await bo.locator("#people-list li", { hasText: "Ada L." }).waitFor();
await shot(bo, "people");
await bo.keyboard.press("Escape");
await ada.reload();
await state(ada, "connected");
await arrived(ada, "but this will get through.");
check(await ada.locator("#messages li[data-own=true]").count() === 6, "own messages are not mine after a reload");
await ada.waitForFunction(() => document.querySelectorAll("#people-list li").length === 2);

if (shots) {
  for (const [page, who] of [[ada, "en"], [bo, "zh"]]) {
    for (const scheme of ["light", "dark"]) {
      for (const width of [320, 768, 1280]) {
        await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
        await page.setViewportSize({ width, height: { 320: 640, 768: 900, 1280: 800 }[width] });
        check(await fits(page), `scrolls sideways at ${width}`);
        await shot(page, `chat-${who}-${scheme}-${width}`);
      }
    }
  }
}
await browser.close();
end();
