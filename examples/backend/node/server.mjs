// A back end for the hooks of docs/realtime.md §4 in Node, without a framework: it lets
// people in, answers their events and hears when they go. The package standardwebhooks
// verifies the signatures.
//
//   npm install && PORT=8080 HOOK_SECRET=whsec_… node server.mjs
import http from "node:http";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.HOOK_SECRET);
const online = new Map(); // socket id → user

const handlers = {
  connect({ socket, auth }) {
    const user = auth?.name ?? "guest";
    if (user === "mallory") return { status: 403, body: { message: "not you" } };
    online.set(socket, user);
    return { body: { user, rooms: ["lobby"], data: { visits: 1 } } };
  },
  disconnect({ socket, reason }) {
    console.log(`${online.get(socket)} left: ${reason}`);
    online.delete(socket);
  },
  event({ user, event, args, data }) {
    if (event === "say") {
      return { body: { ack: [{ ok: true }], emit: [{ to: ["lobby"], event: "said", args: [user, ...args] }] } };
    }
    if (event === "count") return { body: { ack: [online.size, data], data: { visits: data.visits + 1 } } };
    return { status: 404, body: { error: { code: "unknown_event", message: `there is no ${event}` } } };
  },
};

const server = http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  let message;
  try {
    message = webhook.verify(Buffer.concat(chunks).toString(), request.headers);
  } catch {
    response.writeHead(401, { "content-type": "application/json" }).end("{}");
    return;
  }
  const answer = handlers[message.type]?.(message);
  if (!answer) {
    response.writeHead(204).end();
    return;
  }
  response.writeHead(answer.status ?? 200, { "content-type": "application/json" }).end(JSON.stringify(answer.body));
});
server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
