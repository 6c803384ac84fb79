// The chat's state and its connection. view.js draws; nothing here touches the DOM
// but through it.
import { io } from "/socket.io/socket.io.esm.min.js";
import { say } from "./words.js";
import * as view from "./view.js";

const KEPT = 300; // messages of a room
const random = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
const remembered = (key, make) => localStorage[key] ??= make();

const secret = remembered("chat.secret", random); // our id is derived from it
const me = { id: "", name: localStorage["chat.name"] ?? "" };
const rooms = new Map(); // name → room
let current = null;

function addRoom(name) {
  if (!rooms.has(name)) {
    rooms.set(name, { name, messages: [], people: new Map(), typing: new Map(), unread: 0, newFrom: 0, loaded: false, gone: null });
    remember();
  }
  return rooms.get(name);
}
const remember = () => { localStorage["chat.rooms"] = JSON.stringify([...rooms.keys()]); };

// ---- The connection ------------------------------------------------------

const socket = io({
  autoConnect: false, // first we need a name
  // A WebSocket needs no sticky sessions when there are several replicas.
  transports: ["websocket", "polling"], tryAllTransports: true,
  // Called for each attempt: after a long absence we are in our rooms again at once.
  auth: (give) => give({ secret, name: me.name, rooms: [...rooms.keys()] }),
  // What is emitted waits in a queue until the server has acknowledged it, also
  // over a reconnection. A message may be sent twice; the server knows its id.
  retries: 10, ackTimeout: 5000,
  reconnectionDelay: 300, reconnectionDelayMax: 5000,
});

/** ask emits and resolves to the answer; an {error} of the server is thrown. */
async function ask(event, data) {
  const answer = await socket.emitWithAck(event, data);
  if (answer?.error) throw Object.assign(new Error(answer.error.message), answer.error);
  return answer;
}

let wasConnected = false, live = false, missed = 0;
socket.on("connect", () => {
  view.state("connected");
  // With connection state recovery what we missed has been delivered by now, and
  // we still are in our rooms. Otherwise we start over.
  if (socket.recovered) {
    view.notice(missed ? say("backWith", { n: missed }) : say("back"), 5000);
  } else {
    if (wasConnected) view.notice(say("fresh"), 5000);
    for (const name of rooms.keys()) enter(name);
  }
  wasConnected = live = true;
});
socket.on("disconnect", () => {
  live = false;
  missed = 0;
  view.state("reconnecting");
  view.notice(say("offline"));
});
socket.on("connect_error", (err) => {
  if (socket.active) return view.state(wasConnected ? "reconnecting" : "connecting"); // it tries again
  view.introduce(me.name, say(err.message === "bad_name" ? "bad_name" : "refused")); // a middleware said no
});

// ---- What others do ------------------------------------------------------

socket.on("hello", (person) => become(person));
socket.on("message", (m) => put(m));
socket.on("present", ({ room, socket: id, person }) => change(room, (r) => r.people.set(id, person)));
socket.on("absent", ({ room, socket: id }) => change(room, (r) => {
  r.people.delete(id);
  r.gone?.add(id);
  stopTyping(r, id);
}));
// People of a server that was killed cannot say that they go: the others hear it here.
socket.on("presence", ({ room, left }) => change(room.slice("room:".length), (r) => {
  for (const [id, person] of r.people) {
    if (left.includes(person.id)) {
      r.people.delete(id);
      stopTyping(r, id);
    }
  }
}));
socket.on("typing", ({ room, socket: id, person }) => change(room, (r) => {
  clearTimeout(r.typing.get(id)?.timer);
  r.typing.set(id, { person, timer: setTimeout(() => change(room, () => stopTyping(r, id)), 4000) });
}));

function stopTyping(room, id) {
  clearTimeout(room.typing.get(id)?.timer);
  room.typing.delete(id);
}

/** change alters a room that we still are in and draws what surrounds its messages. */
function change(name, alter) {
  const room = rooms.get(name);
  if (!room) return;
  alter(room);
  if (room === current) view.surroundings(room, me);
}

/** put shows a message where its time says, once: ours come back with a time. */
function put(m, quiet = false) {
  const room = rooms.get(m.room);
  if (!room) return;
  const list = room.messages;
  const at = list.findIndex((old) => old.id === m.id);
  const isNew = at < 0;
  if (!isNew) list.splice(at, 1);
  let i = list.length;
  // Two replicas may give one time: then the id decides, on every page alike.
  while (i > 0 && (list[i - 1].at > m.at || (list[i - 1].at === m.at && list[i - 1].id > m.id))) i--;
  list.splice(i, 0, m);
  if (list.length > KEPT) list.shift();
  for (const [id, { person }] of room.typing) if (person.id === m.from.id) stopTyping(room, id);

  const mine = m.state || m.from.id === me.id;
  if (isNew && !mine && !quiet) {
    if (!live) missed++; // the library replays what we missed ahead of "connect"
    if (room !== current || document.hidden) {
      room.unread++;
      room.newFrom ||= m.at;
    }
  }
  if (quiet) return;
  if (room === current) {
    view.message(room, m, me, isNew && !mine);
    view.surroundings(room, me);
  }
  view.rooms(rooms, current);
}

// ---- What we do ----------------------------------------------------------

/** enter asks for a room: what was said there, who is there. */
async function enter(name) {
  const room = addRoom(name);
  room.gone = new Set(); // who leaves while we wait for the answer
  try {
    const answer = await ask("join", { room: name });
    if (!rooms.has(name)) return;
    const last = room.messages.findLast((m) => !m.state)?.at;
    for (const m of answer.messages) {
      const known = room.messages.some((old) => old.id === m.id);
      put(m, true);
      if (room.loaded && !known && m.at > (last ?? 0) && m.from.id !== me.id && (room !== current || document.hidden)) {
        room.unread++;
        room.newFrom ||= m.at;
      }
    }
    room.people = new Map(answer.people.filter((p) => !room.gone.has(p.socket)).map((p) => [p.socket, p.person]));
    room.loaded = true;
    if (room === current) view.room(room, me);
    view.rooms(rooms, current);
  } catch (err) {
    if (!room.loaded) leave(name);
    view.notice(say(err.code), 5000);
  } finally {
    room.gone = null;
  }
}

function show(name) {
  const fresh = !rooms.has(name);
  if (current) current.newFrom = 0;
  current = addRoom(name);
  current.unread = 0;
  history.replaceState(null, "", "#" + encodeURIComponent(name));
  view.room(current, me);
  view.rooms(rooms, current);
  if (fresh && socket.connected) enter(name);
}

function leave(name) {
  if (rooms.size < 2) return;
  rooms.delete(name);
  remember();
  if (socket.connected) ask("leave", { room: name }).catch(() => {});
  if (current.name === name) show(rooms.keys().next().value);
  else view.rooms(rooms, current);
}

function send(text) {
  const last = current.messages.at(-1)?.at ?? 0; // below all there is, whatever our clock says
  deliver({ id: random(), room: current.name, from: { ...me }, text, at: Math.max(Date.now(), last + 1), state: "sending" });
}

async function deliver(m) {
  put({ ...m, state: "sending" });
  try {
    put(await ask("say", { room: m.room, id: m.id, text: m.text }));
  } catch (err) {
    put({ ...m, state: "failed" });
    if (err.code) view.notice(say(err.code), 5000);
  }
}

let typed = 0;
function typing() {
  if (Date.now() - typed < 2000) return;
  typed = Date.now();
  socket.volatile.emit("typing", current.name); // volatile: not queued, not repeated
}

function become(person) {
  Object.assign(me, person);
  localStorage["chat.name"] = me.name;
  view.me(me);
  if (current?.loaded) view.room(current, me);
}

async function rename(name) {
  me.name = name;
  if (!socket.active) return socket.connect();
  try {
    become(await ask("rename", { name }));
    for (const r of rooms.values()) if (r.people.has(socket.id)) r.people.set(socket.id, { ...me });
    view.surroundings(current, me);
  } catch (err) {
    view.introduce(name, say(err.code));
  }
}

view.start({
  show, leave: () => leave(current.name), typing,
  send(text) { typed = 0; send(text); }, retry: deliver, rename,
  step(by) { // the next room, for the keyboard
    const names = [...rooms.keys()];
    show(names[(names.indexOf(current.name) + by + names.length) % names.length]);
  },
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && current) { current.unread = 0; view.rooms(rooms, current); }
});

for (const name of JSON.parse(remembered("chat.rooms", () => '["lobby","help","off topic"]'))) addRoom(name);
const wanted = () => {
  try { return decodeURIComponent(location.hash.slice(1)).trim().toLowerCase().slice(0, 32); } catch { return ""; }
};
addEventListener("hashchange", () => wanted() && show(wanted()));
show(wanted() || rooms.keys().next().value);
view.me(me);
view.state("connecting");
if (me.name) socket.connect();
else view.introduce();
