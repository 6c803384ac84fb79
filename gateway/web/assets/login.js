// The login page: what the attempt's states look like here.
const { attempt: core, client, path, account, accountTitle, returnTo } = document.body.dataset;
const [{ io }, { LoginAttempt, drawQR }] = await Promise.all([import(client), import(core)]);

const $ = (id) => document.getElementById(id);
const words = JSON.parse($("dictionary").textContent);
const say = (key, values = {}) =>
  (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => ({ account: accountTitle, ...values })[name] ?? "");
const inWeChat = /MicroMessenger/i.test(navigator.userAgent);
const onPhone = inWeChat || matchMedia("(pointer: coarse) and (max-width: 600px)").matches;

const attempt = new LoginAttempt(io, { path, account });
let shown = "";
let clock = 0;

attempt.addEventListener("state", async ({ detail }) => {
  const { state } = detail;
  if (state === "waiting") {
    try {
      await drawQR($("qr"), "", detail.url, say("alt"), { asPicture: inWeChat });
    } catch {
      return show("unavailable", detail);
    }
    $("save").href = `/login/qr.png?u=${encodeURIComponent(detail.url)}`;
  }
  show(state, detail);
});
attempt.addEventListener("offline", () => { $("offline").hidden = false; });
attempt.addEventListener("online", () => { $("offline").hidden = true; });
addEventListener("online", () => attempt.state === "done" || attempt.start());

function show(state, detail) {
  const changed = shown !== state;
  shown = state;
  $("card").dataset.state = state;
  const key = { waiting: inWeChat ? "waitingInWeChat" : "waiting", done: returnTo ? "done" : "doneStay" }[state] ?? state;
  const text = say(key, detail);
  if ($("words").textContent !== text) $("words").textContent = text;
  $("number").textContent = detail.number ?? "";
  $("typed-code").textContent = (detail.code ?? "").replace(/^(.{4})(.+)$/, "$1 $2");
  $("refresh").textContent = say(state === "unavailable" ? "retry" : "refresh");
  $("save").hidden = !(state === "waiting" && onPhone && !inWeChat);
  if (["waiting", "claimed", "typed"].includes(state)) startClock();
  else stopClock();
  if (changed && state === "expired") $("refresh").focus();
  if (state === "done") done(detail.token);
}

function startClock() {
  stopClock();
  const tick = () => {
    const left = Math.max(0, Math.ceil((attempt.deadline - Date.now()) / 1000));
    $("ring").style.strokeDashoffset = String(100 - (100 * left) / attempt.life);
    $("clock").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if ([60, 30, 10].includes(left)) $("time-left").textContent = say("secondsLeft", { seconds: left });
    if (left === 0) attempt.expire();
  };
  clock = setInterval(tick, 1000);
  tick();
}

function stopClock() {
  clearInterval(clock);
  $("clock").textContent = "";
}

function done(token) {
  try { sessionStorage.setItem("posthouse.token", token); } catch { /* private mode */ }
  if (returnTo) setTimeout(() => location.assign(returnTo), 600);
}

$("refresh").addEventListener("click", () => attempt.refresh());
$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText($("typed-code").textContent.replace(" ", ""));
  $("copy").textContent = say("copied");
});
attempt.start();
