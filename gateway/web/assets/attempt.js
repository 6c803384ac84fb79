// One login attempt, without a page: it speaks the events of the /login namespace
// and tells its states. The login page and the element are two faces of it.
//
// Events: "state" with detail {state, …}, where state is one of loading, waiting
// {url, imageUrl}, typed {code}, claimed {number}, expired, replaced, cancelled,
// denied, limited {seconds}, unavailable, done {token}; "online" and "offline".

const maxRenewals = 3; // by itself, while the tab is seen; then the person decides
const maxRefused = 3; // one-time codes that a resume on the way has replaced

export class LoginAttempt extends EventTarget {
  #socket;
  #base;
  #account;
  #ticket; // {ticket, url, imageUrl, code, resume, verifier, deadline, life}
  #state = "";
  #renewals = 0;
  #refused = 0;
  #timer = 0;

  // io is socket.io-client's; base the gateway's origin, "" for the page's own.
  constructor(io, { base = "", path = "/socket.io", account = "" } = {}) {
    super();
    this.#base = base;
    this.#account = account;
    this.#ticket = this.#load();
    const socket = (this.#socket = io(base + "/login", { path, closeOnBeforeunload: true, autoConnect: false, withCredentials: true }));
    socket.on("connect", () => {
      this.#tell("online");
      if (this.#state === "done") return;
      if (this.#ticket && this.#ticket.deadline + 60_000 > Date.now()) this.#resume();
      else if (this.#state !== "limited") this.#again();
    });
    socket.on("connect_error", () => this.#lost());
    socket.on("disconnect", (reason) => {
      if (this.#state === "done") return;
      // After the token, or when a replica leaves: the client does not come back by itself.
      if (reason === "io server disconnect") setTimeout(() => socket.connect(), 500 + Math.random() * 1500);
      else this.#lost();
    });
    socket.on("state", (news) => this.#changed(news));
    socket.on("token", (token, ack) => {
      ack?.();
      this.#done(token);
    });
    socket.on("code", ({ code }, ack) => {
      ack?.();
      this.#exchange(code);
    });
    socket.on("failure", ({ error }) => this.#failed(error));
  }

  get state() { return this.#state; }
  get deadline() { return this.#ticket?.deadline ?? 0; } // ms since 1970
  get life() { return this.#ticket?.life ?? 0; } // seconds

  start() {
    this.#show("loading");
    this.#socket.connect();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#socket.disconnect();
  }

  // refresh asks for a new code because the person wants one.
  refresh() {
    this.#renewals = 0;
    if (this.#socket.connected) this.#begin({ refresh: true });
    else this.#socket.connect();
  }

  // expire is told by whoever shows the countdown; the server says it as well.
  expire() {
    if (["expired", "loading", "done", "claimed"].includes(this.#state)) return;
    this.#forget();
    this.#show("expired");
    if (this.#renewals < maxRenewals && !document.hidden && this.#socket.connected) {
      this.#renewals += 1;
      this.#begin({ refresh: true });
    }
  }

  async #begin({ refresh = false } = {}) {
    clearTimeout(this.#timer);
    this.#show("loading");
    const { verifier, challenge } = await proof();
    const request = { typed: true }; // this page can show a code to type
    if (this.#account) request.account = this.#account;
    if (challenge) request.challenge = challenge;
    if (refresh) request.refresh = true;
    this.#socket.timeout(15000).emit("qrcode", request, (timeout, answer) => {
      if (timeout) return this.#socket.connected ? this.#show("unavailable") : undefined; // connect starts over
      if (answer.error) return this.#failed(answer.error);
      this.#ticket = { ...answer, verifier, life: answer.expiresIn, deadline: Date.now() + answer.expiresIn * 1000 };
      this.#save();
      this.#waiting();
    });
  }

  #waiting() {
    const { code, url, imageUrl } = this.#ticket;
    if (code) this.#show("typed", { code });
    else this.#show("waiting", { url, imageUrl });
  }

  #resume() {
    const { ticket, resume } = this.#ticket;
    this.#socket.timeout(15000).emit("resume", { ticket, resume }, (timeout, answer) => {
      if (timeout) return;
      if (answer.error) return this.#again();
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
      case "claimed": return this.#show("claimed", { number: number ?? "" });
      case "done": return; // the token or the code follows
      case "expired": return this.expire();
      default: // replaced, cancelled, denied
        this.#forget();
        this.#show(state);
    }
  }

  #failed({ code, retryAfter }) {
    if (code === "expired" || code === "unauthorized") return this.#again();
    if (code === "rate_limited") return this.#wait(Date.now() + (retryAfter ?? 10) * 1000);
    this.#show("unavailable");
    if (retryAfter && retryAfter < 60) this.#timer = setTimeout(() => this.#begin(), retryAfter * 1000);
  }

  #wait(until) {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left <= 0) return this.#begin();
    this.#show("limited", { seconds: left });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#wait(until), 1000);
  }

  async #exchange(code) {
    const token = await this.#trade(code);
    if (token) return this.#done(token);
    if (this.#state === "done") return;
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

  #done(token) {
    this.#forget();
    this.#show("done", { token });
  }

  #lost() { if (this.#state !== "done") this.#tell("offline"); }

  #show(state, detail = {}) {
    this.#state = state;
    this.#tell("state", { state, ...detail });
  }

  #tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  // What a reload or a lost connection needs to go on with the same code.
  get #key() { return `posthouse.login.${this.#account}`; }
  #load() { try { return JSON.parse(sessionStorage.getItem(this.#key)); } catch { return null; } }
  #save() { try { sessionStorage.setItem(this.#key, JSON.stringify(this.#ticket)); } catch { /* private mode */ } }
  #forget() { try { sessionStorage.removeItem(this.#key); } catch { /* private mode */ } }
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
    box.replaceChildren(img);
    return;
  }
  const answer = await fetch(source("svg"));
  if (!answer.ok) throw new Error(`qr ${answer.status}`);
  const svg = new DOMParser().parseFromString(await answer.text(), "image/svg+xml").documentElement;
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", alt);
  box.replaceChildren(document.importNode(svg, true));
}
