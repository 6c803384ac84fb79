// <posthouse-login> for anybody's page; examples/login/README.md tells how.
//
// Attributes: account, lang (zh-CN or en; the page's otherwise), theme (light or
// dark; the page's otherwise), challenge (of your own server, PKCE S256), src
// (another gateway than the script's). Events, which do not bubble: "token"
// {token}; "code" {code, expiresIn} in its place when there is a challenge;
// "state" {state}; "failure" {code, message, retryAfter?}. Style it with
// ::part(code), ::part(words), ::part(button), ::part(other) and the custom
// properties --posthouse-ink and --posthouse-size.
import { LoginAttempt, announcer, drawQR, grouped, inWeChat, passes, speaker, spelled } from "./attempt.js";

const home = new URL(import.meta.url).origin;

class PosthouseLogin extends HTMLElement {
  static observedAttributes = ["account", "lang", "src", "challenge"];
  #attempt;
  #run = 0;

  connectedCallback() { this.#begin(); }

  disconnectedCallback() { this.#end(); }

  attributeChangedCallback(_, before, now) {
    if (before !== now && this.#run && this.isConnected) this.#begin();
  }

  #end() {
    this.#run++;
    this.#attempt?.stop();
    this.#attempt = undefined;
  }

  async #begin() {
    this.#end();
    const run = this.#run;
    await null; // attributes that are set one after the other are one beginning
    if (run !== this.#run) return;
    try {
      const base = this.getAttribute("src") ?? home;
      const account = this.getAttribute("account") ?? "";
      const lang = language(this).startsWith("zh") ? "zh-CN" : "en";
      const answer = await fetch(`${base}/login/element.json?${new URLSearchParams({ account, lang })}`);
      if (!answer.ok) throw Object.assign(new Error(answer.statusText), { code: answer.status === 404 ? "unknown_account" : "unavailable" });
      const { words, title, typed, path, style } = await answer.json();
      const { io } = await import(`${base}${path}/socket.io.esm.min.js`);
      if (run !== this.#run) return; // removed or changed meanwhile
      const attempt = new LoginAttempt(io, { base, path, account, challenge: this.getAttribute("challenge") ?? "" });
      this.#attempt = attempt;
      this.#show(attempt, base, speaker(words, title), { lang, typed, style });
      attempt.start();
    } catch (error) {
      if (run === this.#run) this.#tell("failure", { code: error.code ?? "unavailable", message: error.message });
    }
  }

  #show(attempt, base, say, { lang, typed, style }) {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open", delegatesFocus: true });
    const sheet = new CSSStyleSheet(); // a page's policy may forbid other styles
    sheet.replaceSync(style);
    root.adoptedStyleSheets = [sheet];
    const make = (tag, attributes) => Object.assign(document.createElement(tag), attributes);
    const box = make("div", { part: "code" });
    const text = make("p", { part: "words", tabIndex: -1 });
    const button = make("button", { type: "button", part: "button", hidden: true });
    const other = make("button", { type: "button", part: "other", hidden: true });
    const live = make("div", { className: "sr", role: "status", ariaLive: "polite" });
    const all = make("div", { className: "all", lang });
    all.append(box, text, button, other, live);
    root.replaceChildren(all);
    const announce = announcer(live);
    let shown = "", left = 0, drawn = "";
    attempt.addEventListener("state", async ({ detail }) => {
      const { state, url, seconds } = detail;
      if (state === "waiting" && drawn !== url) {
        try {
          await drawQR(box, base, url, say("alt"), { asPicture: inWeChat });
          drawn = url;
        } catch { /* the words still say what to do */ }
        if (attempt.state !== state) return;
      }
      const focused = root.activeElement;
      const sentence = say({ done: "doneStay", waiting: inWeChat ? "waitingInWeChat" : "waiting" }[state] ?? state, detail);
      text.textContent = sentence;
      box.classList.toggle("dim", !["waiting", "typed", "claimed"].includes(state));
      if (state === "typed" || state === "claimed") {
        box.textContent = state === "typed" ? grouped(detail.code) : detail.number;
        drawn = "";
      }
      button.hidden = !["expired", "replaced", "moved", "cancelled", "denied", "unavailable", "refused"].includes(state);
      button.textContent = say(["unavailable", "refused"].includes(state) ? "retry" : "refresh");
      other.hidden = !(typed && (state === "waiting" || detail.chosen));
      other.textContent = say(state === "typed" ? "scanInstead" : "typedInstead");
      if (focused?.checkVisibility?.() === false) (button.hidden ? text : button).focus();
      if (state !== shown) announce(detail.code && state === "typed" ? `${sentence}: ${spelled(detail.code)}` : sentence);
      else if (state === "limited" && passes(left, seconds)) announce(sentence);
      left = seconds;
      if (state !== shown) this.#tell("state", { state });
      shown = state;
      if (state !== "done") return;
      if (detail.token) this.#tell("token", { token: detail.token });
      else this.#tell("code", { code: detail.code, expiresIn: detail.expiresIn });
    });
    attempt.addEventListener("failure", ({ detail }) => this.#tell("failure", detail));
    attempt.addEventListener("offline", () => {
      if (text.textContent !== say("offline")) announce(text.textContent = say("offline"));
    });
    button.addEventListener("click", () => attempt.refresh());
    other.addEventListener("click", () => attempt.refresh({ typed: shown !== "typed" }));
  }

  #tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}

// language is the nearest one, through shadow roots too.
function language(node) {
  for (; node; node = node.getRootNode().host) {
    const near = node.closest("[lang]");
    if (near) return near.lang;
  }
  return document.documentElement.lang;
}

if (!customElements.get("posthouse-login")) customElements.define("posthouse-login", PosthouseLogin);
