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
    socket.on("leave", (room, ack) => {
      socket.leave(room);
      ack();
    });
    socket.on("relay", (room, payload) => io.to(room).emit("msg", payload));
  });
  io.of(/^\/n\/\d+$/).on("connection", (socket) => {
    socket.on("echo", (...args) => args.pop()(...args));
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

// The time that the main thread spent in the garbage collector; Bun does not tell.
let gcMilliseconds = 0;
if (!process.versions.bun) {
  const { PerformanceObserver } = await import("node:perf_hooks");
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) gcMilliseconds += entry.duration;
  }).observe({ entryTypes: ["gc"] });
}

// Answers a request of the conventions, or returns undefined or a promise of the answer.
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
    case "GET /bench/ask":
      return io
        .to(query.get("room"))
        .timeout(10000)
        .emitWithAck("ask", pad)
        .then((acks) => String(acks.length));
    case "GET /bench/gc":
      return process.versions.bun ? undefined : String(gcMilliseconds / 1000);
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
  const { Redis } = await import("ioredis");
  const pub = new Redis(process.env.REDIS_URL);
  switch (process.env.BENCH_ADAPTER || "classic") {
    case "classic": {
      const { createAdapter } = await import("@socket.io/redis-adapter");
      return io.adapter(createAdapter(pub, pub.duplicate()));
    }
    case "sharded": {
      const { createShardedAdapter } = await import("@socket.io/redis-adapter");
      return io.adapter(createShardedAdapter(pub, pub.duplicate(), { subscriptionMode: "dynamic" }));
    }
    case "streams": {
      const { createAdapter } = await import("@socket.io/redis-streams-adapter");
      return io.adapter(createAdapter(pub));
    }
  }
}
