// The Bun twin: socket.io on @socket.io/bun-engine.
import { Server as Engine } from "@socket.io/bun-engine";
import { Server } from "socket.io";
import { adapter, answer, offer, pingInterval, pingTimeout, port } from "./conventions.mjs";

const io = new Server();
const engine = new Engine({ path: "/socket.io/", pingInterval, pingTimeout });
io.bind(engine);
await adapter(io);
offer(io);
const { websocket } = engine.handler();
const server = Bun.serve({
  port,
  hostname: "127.0.0.1",
  idleTimeout: 60, // seconds; must exceed pingInterval
  websocket,
  fetch(req, server) {
    const url = new URL(req.url);
    if (url.pathname.startsWith("/socket.io/")) return engine.handleRequest(req, server);
    const body = answer(io, req.method, req.url, () => Bun.gc(true));
    if (body instanceof Promise) return body.then((text) => new Response(text));
    return new Response(body, { status: body === undefined ? 404 : 200 });
  },
});
console.log(`listening on http://127.0.0.1:${server.port}`);
