// The page of the board. Every event name, argument and answer below is checked against
// events.ts, which go generate writes from the Go handlers.
import { io } from "socket.io-client";
const socket = io("/board");
function element(id, type) {
    const found = document.getElementById(id);
    if (!(found instanceof type))
        throw new Error(`#${id} is missing`);
    return found;
}
const form = element("form", HTMLFormElement);
const text = element("text", HTMLInputElement);
const colour = element("colour", HTMLSelectElement);
const problem = element("problem", HTMLParagraphElement);
const notes = element("notes", HTMLUListElement);
function show(note) {
    const item = document.createElement("li");
    item.dataset.id = note.id;
    item.dataset.colour = note.colour ?? "yellow";
    item.textContent = note.text;
    const button = document.createElement("button");
    button.textContent = "×";
    button.ariaLabel = "Remove";
    button.onclick = () => socket.emit("remove", note.id, explain);
    item.prepend(button);
    find(note.id)?.remove();
    notes.append(item);
}
function find(id) {
    return notes.querySelector(`[data-id="${CSS.escape(id)}"]`);
}
// explain shows what the server refused, and why.
function explain(answer) {
    problem.textContent = typeof answer === "object" && "error" in answer ? answer.error.message : "";
}
socket.on("connect", async () => {
    const list = await socket.emitWithAck("list");
    if (!Array.isArray(list))
        return;
    notes.replaceChildren();
    list.forEach(show);
});
socket.on("added", show);
socket.on("removed", (id) => find(id)?.remove());
socket.on("moved", ({ id, to }) => {
    const item = find(id);
    if (item)
        notes.insertBefore(item, [...notes.children].filter((other) => other !== item)[to] ?? null);
});
form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const note = { text: text.value, colour: colour.value };
    const answer = await socket.emitWithAck("add", note);
    explain(answer);
    if (!("error" in answer))
        form.reset();
});
