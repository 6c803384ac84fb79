// The Node twin: socket.io and ws. Run with --expose-gc.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTLSServer } from "node:https";
import { Server } from "socket.io";
import { adapter, answer, offer, pingInterval, pingTimeout, port } from "./conventions.mjs";

const { BENCH_TLS: secure, BENCH_TLS_CERT, BENCH_TLS_KEY } = process.env;
const create = secure ? (f) => createTLSServer({ cert: readFileSync(BENCH_TLS_CERT), key: readFileSync(BENCH_TLS_KEY) }, f) : createServer;
const http = create((req, res) => {
  const end = (body) => {
    res.statusCode = body === undefined ? 404 : 200;
    res.end(body);
  };
  const body = answer(io, req.method, req.url, () => globalThis.gc());
  if (body instanceof Promise) body.then(end);
  else end(body);
});
const io = new Server(http, { pingInterval, pingTimeout, perMessageDeflate: Boolean(process.env.BENCH_DEFLATE), httpCompression: process.env.BENCH_COMPRESS ? { threshold: 1024 } : false, serveClient: false });
await adapter(io);
offer(io);
http.listen(port, "127.0.0.1", () => console.log(`listening on http${secure ? "s" : ""}://127.0.0.1:${http.address().port}`));
