// The login page: what the attempt's states look like here.
const { attempt: core, client, path, account, accountTitle, returnTo, typed, request = "", challenge = "" } = document.body.dataset;
const $ = (id) => document.getElementById(id);
const scripts = Promise.all([import(client), import(core)]);
scripts.catch(() => { // a proxy or the network keeps them from us
  $("card").dataset.state = "refused";
  $("words").textContent = $("live").textContent = JSON.parse($("dictionary").textContent).refused;
  $("refresh").textContent = JSON.parse($("dictionary").textContent).retry;
  $("refresh").addEventListener("click", () => location.reload());
});
const [{ io }, { LoginAttempt, announcer, drawQR, grouped, inWeChat, passes, speaker, spelled }] = await scripts;

const say = speaker(JSON.parse($("dictionary").textContent), accountTitle);
const announce = announcer($("live"));
const onPhone = inWeChat || matchMedia("(pointer: coarse) and (max-width: 600px)").matches;
const timed = ["waiting", "claimed", "typed"];

const attempt = new LoginAttempt(io, { path, account, challenge });
let shown = "";
let clock = 0;
let left = 0; // seconds, as shown
let copied = 0;

attempt.addEventListener("state", async ({ detail }) => {
  const { state, url } = detail;
  if (url && $("qr").dataset.url !== url) {
    try {
      await drawQR($("qr"), "", url, say("alt"), { asPicture: inWeChat });
      $("qr").dataset.url = url;
      $("save").href = `/login/qr.png?u=${encodeURIComponent(url)}`;
    } catch {
      if (attempt.state === "waiting") show("unavailable", detail);
      return;
    }
    if (attempt.state !== state) return; // it went on while we drew
  }
  show(state, detail);
});
attempt.addEventListener("offline", () => {
  if ($("offline").hidden) announce(say("offline"));
  $("offline").hidden = false;
});
attempt.addEventListener("online", () => { $("offline").hidden = true; });

function show(state, detail) {
  const changed = shown !== state;
  const focused = document.activeElement;
  shown = state;
  $("card").dataset.state = state;
  const key = { waiting: inWeChat ? "waitingInWeChat" : "waiting", done: returnTo || request ? "done" : "doneStay" }[state] ?? state;
  const text = say(key, detail);
  $("words").textContent = text;
  $("number").textContent = detail.number ?? detail.seconds ?? "";
  $("typed-code").textContent = grouped(detail.code ?? "");
  $("copy").textContent = say("copy");
  $("refresh").textContent = say(["unavailable", "refused"].includes(state) ? "retry" : "refresh");
  $("save").hidden = !(state === "waiting" && onPhone && !inWeChat);
  $("other").hidden = !(typed && (state === "waiting" || detail.chosen));
  $("other").textContent = say(state === "typed" ? "scanInstead" : "typedInstead");
  if (changed) announce(detail.code ? `${text}: ${spelled(detail.code)}` : text);
  else if (state === "limited" && passes(left, detail.seconds)) announce(text);
  if (state === "limited") left = detail.seconds;
  if (timed.includes(state)) startClock();
  else stopClock();
  if (changed && state === "expired") $("refresh").focus();
  else if (focused.checkVisibility?.() === false) $("words").focus(); // its button went away
  if (state === "refused") $("offline").hidden = true; // the network is not to blame
  if (state === "done" && request) finish(detail);
  else if (state === "done") done(detail);
}

function startClock() {
  stopClock();
  left = 0;
  const tick = () => {
    const before = left;
    left = Math.max(0, Math.ceil((attempt.deadline - Date.now()) / 1000));
    $("ring").style.strokeDashoffset = String(100 - (100 * left) / attempt.life);
    $("clock").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (passes(before, left)) announce(say("secondsLeft", { seconds: left }));
    if (left === 0) attempt.expire();
  };
  clock = setInterval(tick, 1000);
  tick();
}

function stopClock() {
  clearInterval(clock);
  $("clock").textContent = "";
}

function done({ token, code }) {
  try { if (token) sessionStorage.setItem("posthouse.token", token); } catch { /* private mode */ }
  const target = returnTo && new URL(returnTo, location.href);
  // The gateway has checked it; a path stays here, and nothing is a script.
  if (!target || !/^https?:$/.test(target.protocol) || (returnTo.startsWith("/") && target.origin !== location.origin)) return;
  // For the back end that has the verifier of the challenge; of no use to other readers.
  if (code) target.searchParams.set("code", code);
  setTimeout(() => location.assign(target.href), code ? 0 : 600);
}

// The application that sent the person here gets a code of its own: see docs/oidc.md §3.
async function finish({ code }) {
  const body = JSON.stringify({ request, code });
  for (let wait = 250; wait < 16e3; wait *= 2) {
    try {
      const answer = await fetch("/oauth/finish", { method: "POST", body });
      if (answer.ok) return location.replace((await answer.json()).continue);
      if (answer.status < 500) return show("over", {});
    } catch { /* the answer was lost: the same code is good again for a while */ }
    await new Promise((next) => setTimeout(next, wait));
  }
  show("unavailable", {});
}

// A login that is done has no socket to refresh: the page starts over.
$("refresh").addEventListener("click", () => (attempt.state === "done" ? location.reload() : attempt.refresh()));
$("other").addEventListener("click", () => attempt.refresh({ typed: shown !== "typed" }));
$("copy").addEventListener("click", async () => {
  const code = $("typed-code");
  let key = "copied";
  try {
    await navigator.clipboard.writeText(code.textContent.replace(" ", ""));
  } catch { // not allowed, or plain HTTP: the person's own copy command will do
    getSelection().selectAllChildren(code);
    key = "copyByHand";
  }
  $("copy").textContent = say(key === "copied" ? key : "copy");
  announce(say(key));
  clearTimeout(copied);
  copied = setTimeout(() => { $("copy").textContent = say("copy"); }, 2000);
});
// Back from where the login led to: the page in the browser's memory is used up.
addEventListener("pageshow", ({ persisted }) => { if (persisted && attempt.state === "done") location.reload(); });
attempt.start();
