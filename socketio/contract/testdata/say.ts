import { io, type Socket } from "socket.io-client";
import type { ClientToServerEvents, ServerToClientEvents } from "./events.js";

const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io("/chat");
const answer = await socket.emitWithAck("say", { text: "hello" });
if (typeof answer !== "object") {
  const n: number = answer;
  console.log(n);
}
