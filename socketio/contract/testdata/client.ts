// A client of the namespace /tree of types_test.go: compiled, not run.
import { io, type Socket } from "socket.io-client";
import type { ClientToServerEvents, Node, ServerToClientEvents } from "./events.js";

const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io("/tree");

const node: Node = {
  id: "1", created: new Date().toISOString(), name: "a", children: [], next: null, size: 1, "x-tags": ["x"],
  icon: new Uint8Array([1]), labels: { a: 1 }, kind: "file", point: { X: 1, Y: 2 },
};

socket.on("saved", (saved) => {
  const icon: ArrayBuffer | Uint8Array | undefined = saved.icon;
  const bytes = icon && new Uint8Array(icon);
  const next: Node | null = saved.next;
  console.log(bytes?.length, next?.children[0]?.name, saved.parent?.kind === "folder");
});
socket.on("news", (text, n, more) => console.log(text.length, n === null ? 0 : n + 1, more));
socket.on("tick", () => {});
socket.on("ask", (question, ack) => ack(question.length > 0));
socket.on("deliver", (given, ack) => { ack(); console.log(given?.id); });

socket.emit("save", node, (answer) => {
  if ("error" in answer) console.log(answer.error.code, answer.error.field, answer.error.retryAfter);
  else console.log(answer.id, answer.count);
});
socket.emit("put file", "a.txt", new ArrayBuffer(1));
socket.emit("find", (list) => list);
socket.emit("find", { id: "1", count: null }, (list) => list);
socket.timeout(1000).emit("save", node, (error, answer) => { if (!error && !("error" in answer)) console.log(answer.id); });
socket.emit("log", "done");

const saved = await socket.emitWithAck("save", node);
if (!("error" in saved)) saved.id.length;
const found = await socket.emitWithAck("find");
if (Array.isArray(found)) found[0]?.name;
const count = await socket.emitWithAck("count");
if (typeof count === "number") count + 1;
const untyped: 0 extends 1 & typeof saved ? true : false = false; // any would be both
console.log(untyped);

// @ts-expect-error a field is missing
socket.emit("save", { id: "1" });
// @ts-expect-error a field is missing
await socket.emitWithAck("save", { id: "1" });
// @ts-expect-error no such kind
socket.emit("save", { ...node, kind: "link" });
// @ts-expect-error not a text
socket.emit("put file", 1, new ArrayBuffer(1));
// @ts-expect-error no such event
socket.emit("nothing");
// @ts-expect-error no such event
socket.on("nothing", () => {});
// @ts-expect-error the answer is not a text
socket.on("ask", (question, ack) => ack("yes"));
// @ts-expect-error an answer can be an error
socket.emit("save", node, (answer) => answer.id);
