// One login attempt, without a page: it speaks the events of the /login namespace
// and tells its states. The login page and the element are two faces of it.
//
// Events: "state" with detail {state, …}, where state is one of loading, waiting
// {url, imageUrl}, typed {code, chosen}, claimed {number}, expired, replaced, moved, cancelled,
// denied, limited {seconds}, unavailable, refused (this page may not connect), done {token} or, for a challenge of
// somebody else, done {code, expiresIn}; "failure" {code, message, retryAfter};
// "online" and "offline".

const maxRenewals = 3; // by itself, while the tab is seen; then the person decides
const maxRefused = 3; // one-time codes that a resume on the way has replaced
const taken = new Set(); // keys of sessionStorage: several attempts of a page keep apart

export class LoginAttempt extends EventTarget {
  #socket;
  #base;
  #account;
  #challenge; // of whoever will exchange the code; "" when that is us
  #key;
  #ticket; // {ticket, url, imageUrl, code, typed, resume, challenge, verifier, deadline, life}
  #state = "";
  #typed = false; // the person wants a code to type
  #turn = 0; // only the last request's answer counts
  #asleep; // the request that waits until somebody looks
  #renewals = 0;
  #refused = 0;
  #timer = 0;
  #over = new AbortController();

  // io is socket.io-client's; base the gateway's origin, "" for the page's own.
  constructor(io, { base = "", path = "/socket.io", account = "", challenge = "" } = {}) {
    super();
    this.#base = base;
    this.#account = account;
    this.#challenge = challenge;
    this.#key = `posthouse.login.${account}`;
    for (let n = 2; taken.has(this.#key); n++) this.#key = `posthouse.login.${account}#${n}`;
    taken.add(this.#key);
    this.#ticket = this.#load();
    this.#typed = Boolean(this.#ticket?.typed);
    const socket = (this.#socket = io(base + "/login", { path, closeOnBeforeunload: true, autoConnect: false, withCredentials: true }));
    socket.on("connect", () => this.#connected());
    socket.on("connect_error", (error) => {
      // 403: the gateway does not know this page's origin, and trying again changes nothing.
      if (error.description === 403 && this.#state !== "done") this.#show("refused");
      else this.#lost();
    });
    socket.on("disconnect", (reason) => {
      if (["done", "refused"].includes(this.#state) || this.#over.signal.aborted) return;
      // After the token, or when a replica leaves: the client does not come back by itself.
      if (reason === "io server disconnect") this.#later(500 + Math.random() * 1500, () => socket.connect());
      else this.#lost();
    });
    socket.on("state", (news) => this.#changed(news));
    socket.on("token", (token, ack) => {
      ack?.();
      this.#done({ token });
    });
    socket.on("code", (message, ack) => {
      ack?.();
      if (this.#challenge) this.#done(message);
      else this.#exchange(message.code);
    });
    socket.on("failure", ({ error }) => this.#failed(error));
  }

  get state() { return this.#state; }
  get deadline() { return this.#ticket?.deadline ?? 0; } // ms since 1970
  get life() { return this.#ticket?.life ?? 0; } // seconds

  start() {
    const { signal } = this.#over;
    document.addEventListener("visibilitychange", () => this.#seen(), { signal });
    addEventListener("online", () => {
      if (!this.#socket.connected && this.#state !== "done") this.#socket.disconnect().connect(); // now, not at the next try
    }, { signal });
    this.#show("loading");
    this.#socket.connect();
  }

  // stop leaves nothing behind but what a later attempt needs to go on.
  stop() {
    this.#over.abort();
    this.#turn++;
    clearTimeout(this.#timer);
    taken.delete(this.#key);
    this.#socket.disconnect();
  }

  // refresh asks for a new code because the person wants one: to type, or to scan.
  refresh({ typed = this.#typed } = {}) {
    this.#renewals = 0;
    this.#typed = typed;
    if (this.#socket.connected) return this.#begin({ refresh: true });
    this.#forget();
    this.#show("loading");
    this.#socket.connect();
  }

  // expire is told by whoever shows the countdown; the server says it as well.
  expire() {
    if (["expired", "loading", "done", "claimed"].includes(this.#state)) return;
    this.#forget();
    this.#show("expired");
    this.#renew();
  }

  #renew() {
    if (this.#renewals >= maxRenewals || document.hidden || !this.#socket.connected) return;
    this.#renewals++;
    this.#begin({ refresh: true });
  }

  #connected() {
    this.#tell("online");
    if (["done", "limited", "replaced", "moved", "cancelled", "denied"].includes(this.#state)) return;
    if (this.#state === "expired") return this.#renew();
    if (this.#ticket && this.#ticket.deadline + 60_000 > Date.now()) this.#resume();
    else this.#again();
  }

  // A tab in the background asks for nothing: codes are for people who look.
  #seen() {
    if (document.hidden) return;
    const request = this.#asleep;
    if (request) this.#begin(request);
    else if (this.#state === "expired") this.#renew();
  }

  async #begin({ refresh = false } = {}) {
    clearTimeout(this.#timer);
    const turn = ++this.#turn;
    this.#asleep = undefined;
    this.#show("loading");
    if (!this.#socket.connected) return; // connect starts over
    if (document.hidden) return void (this.#asleep = { refresh });
    const { verifier, challenge } = this.#challenge ? { challenge: this.#challenge } : await proof();
    if (turn !== this.#turn) return;
    const request = { typed: true }; // this page can show a code to type
    if (this.#typed) request.prefer = "typed";
    if (this.#account) request.account = this.#account;
    if (challenge) request.challenge = challenge;
    if (refresh) request.refresh = true;
    this.#socket.timeout(15000).emit("qrcode", request, (timeout, answer) => {
      if (turn !== this.#turn) return;
      if (timeout) return this.#socket.connected ? this.#show("unavailable") : undefined; // connect starts over
      if (answer.error) return this.#failed(answer.error);
      this.#ticket = { ...answer, typed: this.#typed, challenge, verifier, life: answer.expiresIn, deadline: Date.now() + answer.expiresIn * 1000 };
      this.#save();
      this.#waiting();
    });
  }

  #waiting() {
    const { code, typed, url, imageUrl } = this.#ticket;
    if (code) this.#show("typed", { code, chosen: typed });
    else this.#show("waiting", { url, imageUrl });
  }

  #resume() {
    const turn = ++this.#turn;
    const { ticket, resume } = this.#ticket;
    this.#socket.timeout(15000).emit("resume", { ticket, resume }, (timeout, answer) => {
      if (timeout || turn !== this.#turn) return;
      if (answer.error || answer.state === "expired") return this.#again();
      if (answer.state === "done") this.#later(10_000, () => this.#again()); // unless the result follows
      this.#ticket.deadline = Date.now() + answer.expiresIn * 1000;
      this.#changed(answer);
    });
  }

  #again() {
    this.#forget();
    this.#begin();
  }

  #changed({ state, number }) {
    switch (state) {
      case "waiting": return this.#waiting();
      case "claimed": return this.#show("claimed", { number: number ?? "", url: this.#ticket?.url });
      case "done": return; // the token or the code follows
      case "expired": return this.expire();
      default: // replaced, moved (another page has it), cancelled, denied
        this.#forget();
        this.#show(state);
    }
  }

  #failed(error) {
    const { code, retryAfter } = error;
    if (code === "expired" || code === "unauthorized") return this.#again();
    this.#tell("failure", error);
    if (code === "rate_limited") return this.#wait(Date.now() + (retryAfter ?? 10) * 1000);
    this.#show("unavailable");
    if (retryAfter && retryAfter < 60) this.#later(retryAfter * 1000, () => this.#begin());
  }

  #wait(until) {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left <= 0) return this.#begin();
    this.#show("limited", { seconds: left });
    this.#later(1000, () => this.#wait(until));
  }

  #later(ms, then) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, ms);
  }

  async #exchange(code) {
    const token = await this.#trade(code);
    if (token) return this.#done({ token });
    if (this.#state === "done" || this.#over.signal.aborted) return;
    // A resume on the way makes a fresh code and kills this one: it is in the post.
    if (++this.#refused <= maxRefused) this.#resume();
    else this.#again();
  }

  async #trade(code) {
    for (let tries = 0; tries < 3; tries++) {
      try {
        const answer = await fetch(this.#base + "/login/exchange", {
          method: "POST",
          credentials: "include",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ code, verifier: this.#ticket?.verifier }),
        });
        if (answer.ok) return (await answer.json()).token;
        if (answer.status < 500) return null;
      } catch { /* the answer was lost: the same proof gives the same token again */ }
    }
    return null;
  }

  #done(result) {
    if (this.#over.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#forget();
    this.#show("done", result);
  }

  #lost() { if (this.#state !== "done") this.#tell("offline"); }

  #show(state, detail = {}) {
    this.#state = state;
    this.#tell("state", { state, ...detail });
  }

  #tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  // What a reload or a lost connection needs to go on with the same code.
  #load() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.#key));
      return (kept.challenge ?? "") === this.#challenge || (!this.#challenge && kept.verifier) ? kept : null;
    } catch { return null; }
  }
  #save() { try { sessionStorage.setItem(this.#key, JSON.stringify(this.#ticket)); } catch { /* private mode */ } }
  #forget() { // its verifier is still needed: a claim may come a little late
    if (this.#ticket) this.#ticket.deadline = 0;
    try { sessionStorage.removeItem(this.#key); } catch { /* private mode */ }
  }
}

async function proof() {
  if (!globalThis.crypto?.subtle) return {}; // plain HTTP on another host: the token itself comes
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  return { verifier, challenge: base64url(new Uint8Array(digest)) };
}

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

// drawQR draws the code of url into box: always dark on white, as inline SVG, or as
// a picture where only pictures can be recognised by a long press.
export async function drawQR(box, base, url, alt, { asPicture = false } = {}) {
  const source = (kind) => `${base}/login/qr.${kind}?u=${encodeURIComponent(url)}`;
  if (asPicture) {
    const img = new Image();
    img.src = source("png");
    img.alt = alt;
    await img.decode();
    box.replaceChildren(img);
    return;
  }
  const answer = await fetch(source("svg"));
  if (!answer.ok) throw new Error(`qr ${answer.status}`);
  // Taken apart rather than parsed: a page's policy may forbid parsers (Trusted Types).
  const [, view, white, dark] = /viewBox="([^"]+)".*?d="([^"]+)".*?d="([^"]+)"/.exec(await answer.text());
  const make = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const svg = make("svg", { viewBox: view, "shape-rendering": "crispEdges", role: "img", "aria-label": alt });
  svg.append(make("path", { fill: "#fff", d: white }), make("path", { fill: "#000", d: dark }));
  box.replaceChildren(svg);
}

// speaker fills the gaps of a language's sentences.
export const speaker = (words, account) => (key, values = {}) =>
  (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => ({ account, ...values })[name] ?? "");

// announcer says things to those who do not see: the last of what comes at once,
// and the same words again when they are meant again.
export function announcer(live) {
  let timer;
  return (text) => {
    clearTimeout(timer);
    live.textContent = "";
    timer = setTimeout(() => { live.textContent = text; }, 100);
  };
}

// The time left is spoken at these seconds only; the clock itself is silent.
export const passes = (before, left) => [60, 30, 10].some((mark) => before > mark && left <= mark);

export const grouped = (code) => code.replace(/^(.{4})(.+)$/, "$1 $2");
export const spelled = (code) => [...code].join(" ");
export const inWeChat = /MicroMessenger/i.test(navigator.userAgent);
