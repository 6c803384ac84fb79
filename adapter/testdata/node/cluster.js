// What record.js and peer.js share: the packages, and a Socket.IO server with
// one of the Redis adapters.
"use strict";
const path = require("path");
const http = require("http");
const { createRequire } = require("module");

const need = createRequire(path.join(__dirname, "../../../internal/interop/node/package.json"));
const { Server } = need("socket.io");
const { io: connectClient } = need("socket.io-client");

// redisClient gives a connected client: node-redis 4 (single or cluster), or
// ioredis 5 (single or Sentinel). `where` is {port}, {cluster: [ports]} or
// {sentinel: [ports], name}.
async function redisClient(where, library, name) {
  if (library === "ioredis") {
    const { Redis, Cluster } = need("ioredis");
    if (where.cluster) {
      return new Cluster(where.cluster.map((port) => ({ host: "127.0.0.1", port })));
    }
    if (where.sentinel) {
      return new Redis({
        sentinels: where.sentinel.map((port) => ({ host: "127.0.0.1", port })),
        name: where.name, maxRetriesPerRequest: null, connectionName: name,
      });
    }
    return new Redis({ host: "127.0.0.1", port: where.port, connectionName: name });
  }
  if (library === "redis3") {
    const legacy = createRequire(need.resolve("socket.io-redis"))("redis");
    return legacy.createClient({ host: "127.0.0.1", port: where.port });
  }
  const { createClient, createCluster } = need("redis");
  const client = where.cluster
    ? createCluster({ rootNodes: where.cluster.map((port) => ({ url: `redis://127.0.0.1:${port}` })) })
    : createClient({ url: `redis://127.0.0.1:${where.port}`, name });
  client.on("error", () => {});
  await client.connect();
  return client;
}

async function makeAdapter(kind, where, library, opts, name) {
  const pub = await redisClient(where, library, name);
  const all = [pub];
  const second = async () => {
    const sub = await redisClient(where, library, name);
    all.push(sub);
    return sub;
  };
  let adapter;
  switch (kind) {
    case "classic":
      adapter = need("@socket.io/redis-adapter").createAdapter(pub, await second(), opts);
      break;
    case "sharded":
      adapter = need("@socket.io/redis-adapter").createShardedAdapter(pub, await second(), opts);
      break;
    case "streams":
      adapter = need("@socket.io/redis-streams-adapter").createAdapter(pub, opts);
      break;
    case "old": // socket.io-redis 6.1
      adapter = need("socket.io-redis").createAdapter({ pubClient: pub, subClient: await second(), ...opts });
      break;
    default:
      throw new Error("unknown adapter " + kind);
  }
  return { adapter, clients: all };
}

// makeServer listens on a free port of the loopback interface.
async function makeServer({ kind, where, library, opts, name, server }) {
  const { adapter, clients } = await makeAdapter(kind, where, library, opts || {}, name);
  const httpServer = http.createServer();
  const io = new Server(httpServer, { adapter, ...server });
  await new Promise((resolve) => httpServer.listen(0, "127.0.0.1", resolve));
  return { io, url: `http://127.0.0.1:${httpServer.address().port}`, clients };
}

module.exports = { need, redisClient, makeServer, connectClient };
