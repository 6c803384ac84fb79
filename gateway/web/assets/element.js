// <posthouse-login> for anybody's page:
//
//   <script type="module" src="https://login.example.com/login/element.js"></script>
//   <posthouse-login account="shop" lang="zh-CN"></posthouse-login>
//   <script>
//     document.querySelector("posthouse-login").addEventListener("token", (e) => signIn(e.detail.token));
//   </script>
//
// The page's origin must be listed in POSTHOUSE_ORIGINS. Attributes: account, lang
// (zh-CN or en; the page's otherwise), src (another gateway than the script's).
// Events: "token" {token}, "state" {state}. Style it with ::part(code),
// ::part(words), ::part(button) and the custom properties --posthouse-ink and
// --posthouse-size.
import { LoginAttempt, drawQR } from "./attempt.js";

const home = new URL(import.meta.url).origin;

class PosthouseLogin extends HTMLElement {
  #attempt;

  async connectedCallback() {
    const base = this.getAttribute("src") ?? home;
    const language = (this.getAttribute("lang") ?? document.documentElement.lang ?? "").startsWith("zh") ? "zh-CN" : "en";
    const query = new URLSearchParams({ account: this.getAttribute("account") ?? "", lang: language });
    const { words, title, path } = await (await fetch(`${base}/login/element.json?${query}`)).json();
    const { io } = await import(`${base}${path}/socket.io.esm.min.js`);
    if (!this.isConnected) return;
    const say = (key, values = {}) =>
      (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => ({ account: title, ...values })[name] ?? "");
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`
      :host { display: inline-grid; justify-items: center; gap: 12px; font: 16px/1.5 system-ui, "PingFang SC", "Microsoft YaHei", sans-serif; color: var(--posthouse-ink, inherit); text-align: center; }
      [part=code] { width: var(--posthouse-size, 240px); aspect-ratio: 1; background: #fff; color: #1a1b1c; border-radius: 10px; display: grid; place-items: center; overflow: hidden; font: 700 2rem/1 system-ui; }
      [part=code] > * { width: 100%; height: 100%; }
      [part=code].dim > * { opacity: .12; }
      [part=button] { font: inherit; min-height: 44px; padding: 8px 20px; }
      p { margin: 0; min-height: 3em; max-width: 18em; }
      [hidden] { display: none; }`);
    root.adoptedStyleSheets = [sheet];
    root.innerHTML = `<div part="code"></div><p part="words" role="status" aria-live="polite"></p><button part="button" type="button" hidden></button>`;
    const [box, text, button] = root.children;
    const attempt = (this.#attempt = new LoginAttempt(io, { base, path, account: this.getAttribute("account") ?? "" }));
    attempt.addEventListener("state", async ({ detail }) => {
      const { state } = detail;
      text.textContent = say(state === "done" ? "doneStay" : state, detail);
      box.classList.toggle("dim", !["waiting", "typed", "claimed"].includes(state));
      if (state === "waiting") await drawQR(box, base, detail.url, say("alt"), { asPicture: /MicroMessenger/i.test(navigator.userAgent) }).catch(() => {});
      if (state === "typed") box.textContent = detail.code.replace(/^(.{4})(.+)$/, "$1 $2");
      if (state === "claimed") box.textContent = detail.number;
      button.hidden = !["expired", "replaced", "cancelled", "denied", "unavailable"].includes(state);
      button.textContent = say(state === "unavailable" ? "retry" : "refresh");
      this.dispatchEvent(new CustomEvent("state", { detail: { state } }));
      if (state === "done") this.dispatchEvent(new CustomEvent("token", { detail: { token: detail.token } }));
    });
    attempt.addEventListener("offline", () => { text.textContent = say("offline"); });
    button.addEventListener("click", () => attempt.refresh());
    attempt.start();
  }

  disconnectedCallback() {
    this.#attempt?.stop();
  }
}

customElements.define("posthouse-login", PosthouseLogin);
