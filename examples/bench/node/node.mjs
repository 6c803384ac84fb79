// The Node twin: socket.io and ws. Run with --expose-gc.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { adapter, answer, offer, pingInterval, pingTimeout, port } from "./conventions.mjs";

const http = createServer((req, res) => {
  const end = (body) => {
    res.statusCode = body === undefined ? 404 : 200;
    res.end(body);
  };
  const body = answer(io, req.method, req.url, () => globalThis.gc());
  if (body instanceof Promise) body.then(end);
  else end(body);
});
const io = new Server(http, { pingInterval, pingTimeout, perMessageDeflate: false, httpCompression: false, serveClient: false });
await adapter(io);
offer(io);
http.listen(port, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${http.address().port}`));
