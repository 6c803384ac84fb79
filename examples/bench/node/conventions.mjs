// What a server under test offers, for both JavaScript twins.
import { randomBytes } from "node:crypto";

export const pingInterval = Number(process.env.PING_INTERVAL || 25000);
export const pingTimeout = 20000;
export const port = Number(process.env.PORT || 0);

export function offer(io) {
  io.of("/").on("connection", (socket) => {
    socket.on("echo", (...args) => args.pop()(...args));
    socket.on("echo-bin", (data, ack) => ack(data));
    socket.on("join", (room, ack) => {
      socket.join(room);
      ack();
    });
    socket.on("relay", (room, payload) => io.to(room).emit("msg", payload));
  });
  io.of("/login").on("connection", (socket) => {
    socket.on("ticket", (ack) => {
      const ticket = randomBytes(16).toString("hex");
      socket.join(ticket);
      ack({ ticket });
    });
  });
}

const pad = "x".repeat(48);

// Answers a request of the conventions, or returns undefined.
export function answer(io, method, url, gc) {
  const { pathname, searchParams: query } = new URL(url, "http://localhost");
  switch (`${method} ${pathname}`) {
    case "GET /bench/pid":
      return String(process.pid);
    case "POST /bench/gc":
      gc();
      return "ok";
    case "GET /bench/broadcast": {
      const n = Number(query.get("n") || 1);
      for (let i = 0; i < n; i++) io.to(query.get("room")).emit("msg", { i, pad });
      return "ok";
    }
    case "POST /bench/callback": {
      const ticket = query.get("ticket");
      const login = io.of("/login");
      login.to(ticket).emit("token", { token: "tok-" + ticket });
      login.in(ticket).disconnectSockets(true);
      return "ok";
    }
  }
}

export async function adapter(io) {
  if (!process.env.REDIS_URL) return;
  const { createAdapter } = await import("@socket.io/redis-adapter");
  const { Redis } = await import("ioredis");
  const pub = new Redis(process.env.REDIS_URL);
  io.adapter(createAdapter(pub, pub.duplicate()));
}
