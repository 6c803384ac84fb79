// What is on the screen. Everything that people wrote goes in as text, never as HTML.
import { language, say, translate } from "./words.js";

const $ = (id) => document.getElementById(id);
const make = (tag, set = {}, ...children) => {
  const e = document.createElement(tag);
  const { data, ...rest } = set;
  Object.assign(e, rest);
  Object.assign(e.dataset, data);
  e.append(...children);
  return e;
};
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(language, { weekday: "long", month: "long", day: "numeric" });
const items = new Map(); // id of a message → its <li>
const divider = make("li", { className: "divider" });
let act; // what people do is told to chat.js

/** hue gives a person a colour; initial what stands in it. */
const hue = (id) => String(id ? parseInt(id.slice(0, 4), 16) % 6 : 0);
const initial = (name) => [...name][0]?.toUpperCase() ?? "";
const avatar = (p) => make("span", { className: "avatar", ariaHidden: "true", data: { hue: hue(p.id), initial: initial(p.name) } });

export function state(name) {
  document.body.dataset.state = name;
  $("state").textContent = say(name);
  if (name === "connected") notice("");
}

let noticeTimer;
/** notice says something about the connection, for a while or until the next. */
export function notice(text, ms) {
  clearTimeout(noticeTimer);
  $("notice").textContent = text;
  if (ms) noticeTimer = setTimeout(() => notice(""), ms);
}

export function me(person) {
  const button = $("me");
  button.hidden = !person.name;
  button.querySelector(".name").textContent = person.name;
  button.querySelector(".avatar").replaceWith(avatar(person));
  button.title = button.ariaLabel = say("rename", person);
}

export function rooms(all, current) {
  const focused = document.activeElement?.dataset.room;
  let unread = 0;
  $("rooms").replaceChildren(...Array.from(all.values(), (r) => {
    unread += r.unread;
    const button = make("button", { type: "button", data: { room: r.name }, onclick: () => act.show(r.name) },
      make("span", { className: "name", textContent: "# " + r.name }));
    if (r === current) button.setAttribute("aria-current", "true");
    if (r.unread) button.append(make("span", { className: "badge", ariaHidden: "true", textContent: r.unread > 99 ? "99+" : r.unread }),
      make("span", { className: "sr", textContent: say("unread", { n: r.unread }) }));
    return make("li", {}, button);
  }));
  for (const b of $("rooms").querySelectorAll("button")) {
    if (b.dataset.room === focused) b.focus();
    if (b.ariaCurrent) b.parentElement.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  document.title = (unread ? `(${unread}) ` : "") + `#${current.name} · ${say("title")}`;
  $("leave").hidden = all.size < 2;
}

/** room draws all of a room. */
export function room(r, me) {
  $("room").textContent = "# " + r.name;
  $("text").ariaLabel = $("text").placeholder = say("write", { room: r.name });
  $("scroll").dataset.loading = !r.loaded;
  items.clear();
  $("messages").replaceChildren(...r.messages.map((m) => draw(m, me)));
  arrange(r);
  surroundings(r, me);
  toEnd();
}

/** surroundings draws what is around the messages: people, who types. */
export function surroundings(r, me) {
  const people = new Map(); // several tabs are one person
  for (const p of r.people.values()) people.set(p.id, p);
  const names = [...people.values()].sort((a, b) => (b.id === me.id) - (a.id === me.id) || a.name.localeCompare(b.name, language));
  $("people-list").replaceChildren(...names.map((p) => make("li", {}, avatar(p), make("span", { className: "name", textContent: p.name }),
    p.id === me.id ? make("span", { className: "soft", textContent: say("you") }) : "")));
  $("people-toggle").textContent = r.loaded ? say("online", { n: names.length }) : "";
  const typing = [...new Map([...r.typing.values()].map(({ person }) => [person.id, person.name])).values()];
  $("typing").textContent = typing.length ? say("typing" + Math.min(typing.length, 3), { a: typing[0], b: typing[1] }) : "";
}

/** message draws one that is new or has changed. */
export function message(r, m, me, aloud) {
  const end = atEnd();
  items.get(m.id)?.remove();
  const next = r.messages[r.messages.indexOf(m) + 1];
  $("messages").insertBefore(draw(m, me), next ? items.get(next.id) : null);
  for (const [id, e] of items) if (!r.messages.some((x) => x.id === id)) { e.remove(); items.delete(id); }
  arrange(r);
  if (end || m.state === "sending") toEnd();
  else if (aloud) $("jump").hidden = false;
  if (aloud) {
    const spoken = $("spoken");
    spoken.append(make("span", { textContent: say("says", { name: m.from.name, text: m.text }) + " " }));
    while (spoken.childElementCount > 5) spoken.firstChild.remove();
  }
}

function draw(m, me) {
  const own = Boolean(m.state) || m.from.id === me.id;
  const text = make("p", { className: "text" });
  // Links become links, the rest stays text.
  for (const part of m.text.split(/(https?:\/\/[^\s<>"]*[^\s<>"'.,:;!?)\]])/)) {
    text.append(/^https?:\/\//.test(part) ? make("a", { href: part, target: "_blank", rel: "noopener noreferrer nofollow", textContent: part }) : part);
  }
  const body = make("div", { className: "body" },
    make("p", { className: "who" }, make("b", { textContent: m.from.name }), " ",
      make("time", { dateTime: new Date(m.at).toISOString(), title: new Date(m.at).toLocaleString(language), textContent: clock.format(m.at) })),
    text);
  const li = make("li", { data: { id: m.id, from: m.from.id, own, state: m.state ?? "sent" } }, own ? "" : avatar(m.from), body);
  if (m.state) li.append(make("p", { className: "mark" }, say(m.state),
    m.state === "failed" ? make("button", { type: "button", className: "plain", textContent: say("retry"), onclick: () => act.retry(m) }) : ""));
  items.set(m.id, li);
  return li;
}

/** arrange groups what one person said in a row, and marks days and what is new. */
function arrange(r) {
  let before;
  divider.remove();
  for (const m of r.messages) {
    const e = items.get(m.id);
    const sameDay = before && new Date(before.at).toDateString() === new Date(m.at).toDateString();
    e.dataset.first = !sameDay || before.from.id !== m.from.id || before.from.name !== m.from.name || m.at - before.at > 5 * 60_000;
    if (sameDay) delete e.dataset.day;
    else e.dataset.day = day.format(m.at);
    if (r.newFrom && m.at >= r.newFrom && !divider.isConnected) {
      divider.textContent = say("newer");
      e.before(divider);
      e.dataset.first = true;
    }
    before = m;
  }
  const empty = $("empty");
  empty.hidden = !r.loaded || r.messages.length > 0;
  empty.textContent = say("empty");
}

const scroll = $("scroll");
const atEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
function toEnd() {
  scroll.scrollTop = scroll.scrollHeight;
  $("jump").hidden = true;
}

/** introduce asks for a name. */
export function introduce(name = "", problem = "") {
  $("name").value = name;
  $("name").setCustomValidity(problem);
  if (!$("introduction").open) $("introduction").showModal();
  if (problem) $("name").reportValidity();
}

/** start wires what people do to actions. */
export function start(actions) {
  act = actions;
  translate();
  const text = $("text"), left = $("left"), name = $("name"), dialog = $("introduction");
  const sendNow = () => {
    const value = text.value.trim();
    if (value) act.send(value);
    text.value = left.textContent = "";
    text.focus();
  };
  $("composer").onsubmit = (e) => { e.preventDefault(); sendNow(); };
  text.onkeydown = (e) => {
    // Enter that picks a word of an input method does not send.
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing && e.keyCode !== 229) { e.preventDefault(); sendNow(); }
  };
  text.oninput = () => {
    const rest = text.maxLength - text.value.length;
    left.textContent = rest <= 100 ? say("left", { n: rest }) : "";
    if (text.value.trim()) act.typing();
  };
  $("open").onsubmit = (e) => {
    e.preventDefault();
    const room = $("open-name").value.trim().replace(/\s+/g, " ").replace(/^# ?/, "").toLowerCase();
    if (room) act.show(room);
    $("open-name").value = "";
    text.focus();
  };
  $("leave").onclick = () => act.leave();
  $("me").onclick = () => introduce($("me").querySelector(".name").textContent);
  name.oninput = () => name.setCustomValidity("");
  dialog.querySelector("form").onsubmit = () => act.rename(name.value.trim());
  dialog.oncancel = (e) => { if ($("me").hidden) e.preventDefault(); }; // without a name there is no chat
  dialog.onclose = () => text.focus();
  $("jump").onclick = toEnd;
  $("jump").textContent = say("newer");
  scroll.onscroll = () => { if (atEnd()) $("jump").hidden = true; };
  const people = (open) => {
    $("people-toggle").ariaExpanded = String(open);
    document.body.toggleAttribute("data-people", open);
  };
  $("people-toggle").onclick = () => people($("people-toggle").ariaExpanded !== "true");
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape") people(false);
    if (e.altKey && (e.key === "ArrowUp" || e.key === "ArrowDown")) { e.preventDefault(); act.step(e.key === "ArrowUp" ? -1 : 1); }
  });
  // The end stays in sight when the keyboard of a phone opens or the text grows.
  new ResizeObserver(() => { if ($("jump").hidden) toEnd(); }).observe(scroll);
}
