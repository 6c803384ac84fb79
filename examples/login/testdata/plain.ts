// Compiled, not run: a front end of its own, and one with the element.
import { io, type Socket } from "socket.io-client";
import { loadLogin, type LoginState, type PosthouseLoginElement } from "posthouse-login";
import type { ClientToServerEvents, ServerToClientEvents } from "posthouse-login/events";

const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io("/login");
socket.on("token", (token, ack) => { ack(); console.log(token.length); });
socket.on("code", ({ code, expiresIn }, ack) => { ack(); console.log(code.length, expiresIn + 1); });
socket.on("state", ({ state }) => { if (state === "moved") socket.disconnect(); });
socket.on("failure", ({ error }) => { if (error.code === "rate_limited") console.log((error.retryAfter ?? 0) + 1); });
const answer = await socket.emitWithAck("qrcode", { account: "shop", refresh: true });
if ("error" in answer) console.log(answer.error.code);
else {
  const resumed = await socket.emitWithAck("resume", { ticket: answer.ticket, resume: answer.resume });
  if (!("error" in resumed)) console.log(resumed.state, resumed.number?.length);
}
await socket.emitWithAck("cancel");
// @ts-expect-error no such field
socket.emit("qrcode", { acount: "shop" }, () => {});
// @ts-expect-error no such state
socket.on("state", ({ state }) => state === "gone");

const element: PosthouseLoginElement = document.createElement("posthouse-login");
element.addEventListener("token", ({ detail }) => console.log(detail.token.length));
element.addEventListener("state", ({ detail }) => { const state: LoginState = detail.state; console.log(state); });
element.addEventListener("failure", ({ detail }) => console.log(detail.code === "unavailable", detail.message));
element.addEventListener("click", (event) => event.clientX);
await loadLogin("https://login.example.com");
document.querySelector("posthouse-login")?.setAttribute("account", "shop");
// @ts-expect-error no such event
element.addEventListener("tokens", ({ detail }) => detail);
