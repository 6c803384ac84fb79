// Three people on three replicas: node replicas.mjs SCREENSHOTS ADAS_BASE BOS_BASE CYS_BASE
// It prints "kill" when the replica of Ada is to be killed.
import { join } from "node:path";
import { wrong, check, launch, open, state, introduce, write, arrived, texts, fits, end } from "./browser_page.mjs";

const [shots, ...bases] = process.argv.slice(2);
const EACH = 30; // messages of one person
const browser = await launch();

// Bo comes when Ada has written: what was said and who is here stand there at once.
const ada = await open(browser, bases[0], { viewport: { width: 1280, height: 800 }, locale: "en" });
await introduce(ada, "Ada");
for (const text of ["Who takes the night shift?", "I can do Monday.", "And Tuesday."]) await write(ada, text);
await arrived(ada, "And Tuesday.");
const bo = await open(browser, bases[1], { viewport: { width: 1280, height: 800 }, locale: "en" });
await introduce(bo, "Bo");
check((await texts(bo)).join("|") === "Who takes the night shift?|I can do Monday.|And Tuesday.", "at load Bo sees " + (await texts(bo)).join("|"));
check((await bo.textContent("#people-toggle")).startsWith("2 "), "at load Bo sees " + await bo.textContent("#people-toggle"));
const cy = await open(browser, bases[2], { viewport: { width: 320, height: 640 }, locale: "zh-CN", colorScheme: "dark" });
await introduce(cy, "Cy");
const all = [ada, bo, cy], names = ["Ada", "Bo", "Cy"];
for (const page of all) await page.waitForFunction(() => document.querySelectorAll("#people-list li").length === 3);

// All write numbered messages. In the middle the replica of Ada is killed.
const recovered = ada.waitForFunction(() => /^Back\./.test(document.querySelector("#notice").textContent)).then(() => true, () => false);
await Promise.all(all.map(async (page, who) => {
  for (let i = 1; i <= EACH; i++) {
    await write(page, `${names[who]} ${i}.`);
    if (who === 0 && i === EACH / 3) console.log("kill");
    await page.waitForTimeout(250); // less than the five a second that the server lets through
  }
}));
const total = 3 + all.length * EACH;
for (const [i, page] of all.entries()) {
  await page.waitForFunction((n) => document.querySelectorAll("#messages li[data-state=sent] .text").length >= n, total)
    .catch(async () => wrong.push(`${names[i]} has ${(await texts(page)).length} of ${total} messages`));
}
const lists = await Promise.all(all.map(texts));
for (const [i, list] of lists.entries()) {
  check(new Set(list).size === list.length, `${names[i]} sees a message twice`);
  check(list.join("|") === lists[0].join("|"), `another order for ${names[i]}:\n${list.join("|")}\n--\n${lists[0].join("|")}`);
  for (const name of names) {
    const numbers = list.filter((text) => text.startsWith(name + " ")).map((text) => parseInt(text.split(" ")[1]));
    check(numbers.join() === Array.from({ length: EACH }, (_, n) => n + 1).join(), `${names[i]} sees of ${name}: ${numbers}`);
  }
  check(await all[i].$("#messages li[data-state=failed], #messages li[data-state=sending]") === null, `${names[i]} has messages that were not sent`);
}
await state(ada, "connected");
check(await recovered, "Ada was not recovered"); // the notice of it goes after some seconds
for (const page of all) await page.waitForFunction(() => document.querySelectorAll("#people-list li").length === 3);

// Ada opens the page anew on what is left.
await ada.reload();
await state(ada, "connected");
await arrived(ada, `Cy ${EACH}.`);
await ada.waitForFunction(() => document.querySelectorAll("#people-list li").length === 3);

if (shots) {
  for (const [page, who] of [[ada, "ada"], [cy, "cy"]]) {
    for (const scheme of ["light", "dark"]) {
      for (const width of [320, 1280]) {
        await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
        await page.setViewportSize({ width, height: width === 320 ? 640 : 800 });
        check(await fits(page), `scrolls sideways at ${width}`);
        await page.screenshot({ path: join(shots, `replicas-${who}-${scheme}-${width}.png`) });
      }
    }
  }
}
await browser.close();
end();
