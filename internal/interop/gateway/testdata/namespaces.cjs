// namespaces.cjs CLIENT BASE TOKEN SUB: what a page does in a configured namespace.
const assert = require("node:assert");
const [name, base, token, sub] = process.argv.slice(2);
const io = require(name);
const old = name.startsWith("sioc-2"); // sends no auth payload: its token travels in a header

const event = (socket, name) => new Promise((done) => socket.once(name, (...args) => done(args)));
const call = (socket, ...args) => new Promise((done) => socket.emit(...args, (...answer) => done(answer)));
const open = (path, token) =>
  io(base + path, {
    auth: { token },
    transports: old ? ["polling"] : undefined,
    transportOptions: { polling: { extraHeaders: old && token ? { Authorization: `Bearer ${token}` } : {} } },
    forceNew: true,
    reconnection: false,
  });
const refusal = async (path, token) => {
  const socket = open(path, token);
  const [error] = await event(socket, old ? "error" : "connect_error");
  socket.close();
  return error;
};

(async () => {
  const ada = open("/app", token);
  await event(ada, "connect");
  const bo = open("/app", token);
  await event(bo, "connect");
  assert.deepStrictEqual(await call(ada, "join", "topic:news"), [{ room: "topic:news" }]);
  assert.deepStrictEqual(await call(bo, "join", "topic:news"), [{ room: "topic:news" }]);
  assert.strictEqual((await call(ada, "join", "secret"))[0].error.code, "forbidden");
  assert.strictEqual((await call(ada, "join", `doc:${sub}:1`))[0].room, `doc:${sub}:1`);
  assert.strictEqual((await call(ada, "join", "doc:other:1"))[0].error.code, "forbidden");
  const typing = event(bo, "typing");
  assert.deepStrictEqual(await call(ada, "typing", "topic:news", { on: true }), [{}]);
  assert.deepStrictEqual(await typing, ["topic:news", { on: true }]);
  assert.deepStrictEqual(await call(bo, "leave", "topic:news"), [{ room: "topic:news" }]);
  assert.strictEqual((await call(bo, "typing", "topic:news"))[0].error.code, "forbidden");
  assert.strictEqual((await call(ada, "dance"))[0].error.code, "unknown_event");
  const renewed = (await call(ada, "auth", { token }))[0];
  assert.ok(renewed.expiresIn > 0, JSON.stringify(renewed));
  assert.strictEqual((await call(ada, "auth", { token: "x" }))[0].error.code, "forbidden");
  ada.close();
  bo.close();

  // The rooms of a namespace are bounded as it says, not as the library's default does.
  const many = open("/many", token);
  await event(many, "connect");
  for (let i = 0; i < 300; i++) assert.deepStrictEqual(await call(many, "join", `topic:${i}`), [{ room: `topic:${i}` }]);
  assert.strictEqual((await call(many, "join", "topic:300"))[0].error.code, "forbidden");
  many.close();

  const wrong = await refusal("/app", "x");
  const missing = await refusal("/app");
  const unknown = await refusal("/other", token);
  if (old) {
    // Clients of that age get the data alone, or the message where there is no data.
    assert.strictEqual(wrong.code, "unauthorized", JSON.stringify(wrong));
    assert.strictEqual(unknown.message ?? unknown, "Invalid namespace");
  } else {
    for (const error of [wrong, missing]) {
      assert.strictEqual(error.message, "unauthorized");
      assert.deepStrictEqual(error.data, { code: "unauthorized" });
    }
    assert.strictEqual(unknown.message, "Invalid namespace");
  }
  console.log("ok");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
