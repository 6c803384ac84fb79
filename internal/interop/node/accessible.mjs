// What the browser tests of every page ask: that axe has nothing to say, and that
// nothing is wider than the window or cut off.
import { readFileSync } from "node:fs";

const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const fail = (why) => { throw new Error(why); };

// The windows of people: a small phone, the same on its side, a browser at 200 %
// (half the CSS pixels), a tablet, a desk; and letters of twice the size.
export const windows = [[320, 480], [320, 640], [844, 390], [640, 400], [768, 900], [1280, 800], [768, 900, 2], [320, 640, 2]];

// accessible runs axe on the page as it is.
export async function accessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  if (violations.length) fail(`${what}: ${violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html + " " + n.failureSummary).join(" | ")}`).join("\n")}`);
}

// fits: the page does not scroll sideways, and no text ends where it should not.
export async function fits(page, what) {
  const wide = await page.evaluate(() => {
    const over = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    if (over > 0) return `scrolls sideways by ${over} px`;
    for (const e of document.querySelectorAll("main *, header *, footer *")) {
      if (e.matches(".sr") || !e.checkVisibility() || !e.textContent.trim()) continue;
      const { overflowX, textOverflow, clipPath } = getComputedStyle(e);
      if (!["hidden", "clip"].includes(overflowX) || textOverflow === "ellipsis" || clipPath !== "none") continue;
      if (e.scrollWidth > e.clientWidth + 1) return `${e.className} ${e.id} cuts off its text`;
    }
    return "";
  });
  if (wide) fail(`${what}: ${wide}`);
}

// resize makes the window and the letters what one of windows says.
export async function resize(page, [width, height, letters = 1]) {
  await page.setViewportSize({ width, height });
  // Two frames later the observers of the page have seen its new size.
  await page.evaluate((n) => {
    document.documentElement.style.fontSize = n > 1 ? n * 100 + "%" : "";
    return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  }, letters);
}

// everywhere looks at a page in both themes and all windows.
export async function everywhere(page, what) {
  const before = page.viewportSize();
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.waitForTimeout(150); // colours change softly
    await accessible(page, `${what}, ${colorScheme}`);
    for (const size of windows) {
      await resize(page, size);
      await fits(page, `${what}, ${colorScheme}, ${size.join("x")}`);
    }
    await resize(page, [before.width, before.height]);
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
}
