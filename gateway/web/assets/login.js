// The login page: asks for a code, shows it, waits for the token. It speaks the
// events of the /login namespace and knows nothing else of the gateway.
const { client, path, account, accountTitle, returnTo } = document.body.dataset;
const { io } = await import(client);

const $ = (id) => document.getElementById(id);
const words = JSON.parse($("dictionary").textContent);
const say = (key, values = {}) =>
  (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => ({ account: accountTitle, ...values })[name] ?? "");
const inWeChat = /MicroMessenger/i.test(navigator.userAgent);
const onPhone = inWeChat || matchMedia("(pointer: coarse) and (max-width: 600px)").matches;
const maxRenewals = 3; // by itself, while the tab is seen; then the person decides

// What a reload or a lost connection needs to go on with the same code.
const memory = {
  key: `posthouse.login.${account}`,
  load() { try { return JSON.parse(sessionStorage.getItem(this.key)); } catch { return null; } },
  save(attempt) { try { sessionStorage.setItem(this.key, JSON.stringify(attempt)); } catch { /* private mode */ } },
  clear() { try { sessionStorage.removeItem(this.key); } catch { /* private mode */ } },
};

let attempt = memory.load(); // {ticket, url, imageUrl, resume, deadline, life, verifier?}
let state = "loading";
let renewals = 0;
let timer = 0;
let refusedCodes = 0;

const socket = io("/login", { path, closeOnBeforeunload: true });

// --- what is seen -----------------------------------------------------------

function show(next, values = {}) {
  const changed = state !== next;
  state = next;
  $("card").dataset.state = next;
  const key = next === "waiting" && inWeChat ? "waitingInWeChat" : next === "done" && !returnTo ? "doneStay" : next;
  const text = say(key, values);
  if ($("words").textContent !== text) $("words").textContent = text;
  $("number").textContent = values.number ?? "";
  $("refresh").textContent = say(next === "unavailable" ? "retry" : "refresh");
  $("save").hidden = !(next === "waiting" && onPhone && !inWeChat);
  if (!["waiting", "claimed", "typed", "limited"].includes(next)) stopClock();
  if (changed && next === "expired") $("refresh").focus();
}

async function draw({ url }) {
  const picture = `/login/qr.png?u=${encodeURIComponent(url)}`;
  $("save").href = picture;
  if (inWeChat) { // only a real image can be recognised by a long press
    const img = new Image();
    img.src = picture;
    img.alt = say("alt");
    $("qr").replaceChildren(img);
    return;
  }
  const answer = await fetch(`/login/qr.svg?u=${encodeURIComponent(url)}`);
  if (!answer.ok) throw new Error(`qr ${answer.status}`);
  const svg = new DOMParser().parseFromString(await answer.text(), "image/svg+xml").documentElement;
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", say("alt"));
  $("qr").replaceChildren(document.importNode(svg, true));
}

function startClock() {
  stopClock();
  const tick = () => {
    const left = Math.max(0, Math.ceil((attempt.deadline - Date.now()) / 1000));
    $("ring").style.strokeDashoffset = String(100 - (100 * left) / attempt.life);
    $("clock").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if ([60, 30, 10].includes(left)) $("time-left").textContent = say("secondsLeft", { seconds: left });
    if (left === 0 && state !== "claimed") expired();
  };
  timer = setInterval(tick, 1000);
  tick();
}

function stopClock() {
  clearInterval(timer);
  timer = 0;
  $("clock").textContent = "";
}

// --- the conversation -------------------------------------------------------

async function proof() {
  if (!globalThis.crypto?.subtle) return {}; // plain HTTP on another host: the token itself comes
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  const verifier = base64url(bytes);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  return { verifier, challenge: base64url(new Uint8Array(digest)) };
}

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function begin({ refresh = false } = {}) {
  show("loading");
  const { verifier, challenge } = await proof();
  const request = {};
  if (account) request.account = account;
  if (challenge) request.challenge = challenge;
  if (refresh) request.refresh = true;
  socket.timeout(15000).emit("qrcode", request, async (timeout, answer) => {
    if (timeout) return socket.connected ? show("unavailable") : undefined; // offline: connect starts over
    if (answer.error) return failed(answer.error);
    attempt = { ...answer, verifier, life: answer.expiresIn, deadline: Date.now() + answer.expiresIn * 1000 };
    memory.save(attempt);
    await waiting();
  });
}

async function waiting() {
  if (attempt.code) {
    $("typed-code").textContent = attempt.code.replace(/^(.{4})(.+)$/, "$1 $2");
    show("typed");
    return startClock();
  }
  try {
    await draw(attempt);
    show("waiting");
    startClock();
  } catch {
    show("unavailable");
  }
}

function goOn() {
  socket.timeout(15000).emit("resume", { ticket: attempt.ticket, resume: attempt.resume }, async (timeout, answer) => {
    if (timeout) return;
    if (answer.error) return again();
    attempt.deadline = Date.now() + answer.expiresIn * 1000;
    await changed(answer);
  });
}

function again() {
  attempt = null;
  memory.clear();
  begin();
}

async function changed({ state: now, number }) {
  switch (now) {
    case "waiting": return waiting();
    case "claimed":
      show("claimed", { number: number ?? attempt?.number ?? "" });
      return startClock();
    case "done": return; // the token or the code follows
    case "expired": return expired();
    default: // replaced, cancelled, denied
      memory.clear();
      show(now);
  }
}

function expired() {
  if (state === "expired" || state === "loading" || state === "done") return;
  memory.clear();
  show("expired");
  if (renewals < maxRenewals && !document.hidden && socket.connected) {
    renewals += 1;
    begin({ refresh: true });
  }
}

function failed({ code, retryAfter }) {
  if (code === "rate_limited") return wait(retryAfter ?? 10);
  if (code === "expired" || code === "unauthorized") return again();
  show("unavailable");
  if (retryAfter && retryAfter < 60) timer = setTimeout(begin, retryAfter * 1000);
}

function wait(seconds) {
  const until = Date.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0) return show("limited", { seconds: left });
    stopClock();
    begin();
  };
  stopClock();
  timer = setInterval(tick, 1000);
  tick();
}

async function exchange(code) {
  for (let tries = 0; tries < 3; tries++) {
    try {
      const answer = await fetch("/login/exchange", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ code, verifier: attempt.verifier }),
      });
      if (answer.ok) return (await answer.json()).token;
      if (answer.status < 500) break;
    } catch { /* the answer was lost: the same proof gives the same token again */ }
  }
  return null;
}

function done(token) {
  memory.clear();
  try { sessionStorage.setItem("posthouse.token", token); } catch { /* private mode */ }
  show("done");
  dispatchEvent(new CustomEvent("posthouse:token", { detail: { token } }));
  if (returnTo) setTimeout(() => location.assign(returnTo), 600);
}

socket.on("connect", () => {
  $("offline").hidden = true;
  if (state === "done") return;
  if (attempt && attempt.deadline + 60_000 > Date.now()) goOn();
  else if (state !== "limited") again();
});
socket.on("connect_error", () => { if (state !== "done") $("offline").hidden = false; });
socket.on("disconnect", (reason) => {
  if (reason === "io server disconnect") { // after the token, or a replica that leaves
    if (state !== "done") setTimeout(() => socket.connect(), 500 + Math.random() * 1500);
    return;
  }
  if (state !== "done") $("offline").hidden = false;
});
socket.on("state", changed);
socket.on("token", (token, ack) => {
  ack?.();
  done(token);
});
socket.on("code", async ({ code }, ack) => {
  ack?.();
  const token = await exchange(code);
  if (token) return done(token);
  // A resume on the way makes a fresh code and kills this one: it is in the post.
  if (state !== "done" && ++refusedCodes <= 3) goOn();
  else if (state !== "done") again();
});
socket.on("failure", ({ error }) => failed(error));

$("refresh").addEventListener("click", () => {
  renewals = 0;
  if (!socket.connected) socket.connect();
  else begin({ refresh: true });
});
$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(attempt.code);
  $("copy").textContent = say("copied");
});
addEventListener("online", () => socket.connect());
