// The board: sign in, then one namespace of the gateway. Events that change the board
// go to the back end (backend.py), which acknowledges them and tells all.
import { language, say } from "./words.js";

const gateway = document.querySelector("meta[name=gateway]").content;
const { io } = await import(`${gateway}/socket.io/socket.io.esm.min.js`);

const find = (id) => document.getElementById(id);
let token = sessionStorage["board.token"], name = localStorage["board.name"] ?? "";
let user = null;

// ---- Signing in ----------------------------------------------------------

/** signIn asks for the name, and then shows the code to scan. */
function signIn(word = "") {
  delete sessionStorage["board.token"];
  state("sign-in", word);
  find("name").value = name;
  find("login").replaceChildren();
  find("introduction").hidden = false;
  find("name").focus();
}

find("introduction").addEventListener("submit", (e) => {
  e.preventDefault();
  localStorage["board.name"] = name = find("name").value.trim();
  find("introduction").hidden = true;
  const login = document.createElement("posthouse-login");
  login.lang = language === "zh" ? "zh-CN" : "en";
  login.addEventListener("token", ({ detail }) => {
    sessionStorage["board.token"] = token = detail.token;
    find("login").replaceChildren();
    connect();
  });
  find("login").replaceChildren(login);
});

// ---- The connection ------------------------------------------------------

const socket = io(`${gateway}/board`, {
  autoConnect: false,
  transports: ["websocket", "polling"], tryAllTransports: true,
  auth: (give) => give({ token, name }),
});

const names = new Map(); // user → name
let present = new Set(); // users at the board

function connect() {
  state("connecting", say("connecting"));
  socket.connect();
}

socket.on("connect", async () => {
  const board = await socket.emitWithAck("open");
  user = board.user;
  find("notes").replaceChildren();
  for (const note of board.notes) put(note);
  countNotes();
  for (const [id, name] of Object.entries(board.names)) names.set(id, name);
  const { members } = await socket.emitWithAck("presence", "board");
  present = new Set(members.map((member) => member.user));
  show();
  state("connected", say("connected"));
});
socket.on("disconnect", (reason) => reason !== "io client disconnect" && state("connecting", say("offline")));
socket.on("connect_error", () => {
  if (socket.active) return; // it tries again
  signIn(say("again")); // the token was refused
});
socket.on("expired", () => { // in 5 s the gateway disconnects
  socket.disconnect();
  signIn(say("again"));
});

/** change asks the back end for a change of the board. */
async function change(event, ...args) {
  const answer = await socket.timeout(5000).emitWithAck(event, ...args).catch(() => ({ error: {} }));
  if (answer.error) announce(say(answer.error.message === "full" ? "full" : "refused"));
  return !answer.error;
}

// ---- The board -----------------------------------------------------------

socket.on("added", put);
socket.on("removed", (id) => { document.querySelector(`[data-id="${id}"]`)?.remove(); countNotes(); });
socket.on("named", (id, name) => { names.set(id, name); show(); });
// The gateway's own event: who came, and who has been gone for more than a reload takes.
socket.on("presence", ({ joined, left }) => {
  for (const id of joined) present.add(id);
  for (const id of left) present.delete(id);
  show();
});
socket.on("announced", announce);

find("add").addEventListener("submit", async (e) => {
  e.preventDefault();
  const text = find("text").value.trim();
  if (text && await change("add", text) && find("text").value.trim() === text) find("text").value = "";
});

/** put shows a note, once: the acknowledgement of open may have had it already. */
function put(note) {
  if (document.querySelector(`[data-id="${note.id}"]`)) return;
  const item = document.createElement("li");
  item.dataset.id = note.id;
  item.dataset.hue = hue(note.user);
  const text = document.createElement("p"), by = document.createElement("small");
  text.textContent = note.text;
  by.textContent = `${note.name} · ${new Date(note.time * 1000).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" })}`;
  item.append(text, by);
  if (note.user === user) {
    const remove = document.createElement("button");
    remove.textContent = "×";
    remove.setAttribute("aria-label", `${say("remove")}: ${note.text}`);
    remove.title = say("remove");
    remove.addEventListener("click", () => change("remove", note.id));
    item.append(remove);
  }
  find("notes").prepend(item);
  countNotes();
}

/** show lists the people who are here. */
function show() {
  find("people").replaceChildren(...[...present].filter((id) => names.has(id)).sort().map((id) => {
    const item = document.createElement("li");
    item.textContent = names.get(id);
    item.dataset.hue = hue(id);
    return item;
  }));
}

function announce(text) {
  find("announcement").textContent = text;
  find("announcement").hidden = !text;
}

function countNotes() { find("empty").hidden = find("notes").childElementCount > 0; }
function hue(id) { return [...id].reduce((sum, c) => sum + c.codePointAt(0), 0) % 5; }
function state(name, word) {
  document.body.dataset.state = name;
  find("state").textContent = word;
}

if (token) connect(); else signIn();
