// talk.cjs CLIENT URL: two clients of a back end behind hooks, and one that it refuses.
const assert = require("node:assert");
const [name, url] = process.argv.slice(2);
const io = require(name);
const old = name.startsWith("sioc-2"); // has no auth payload

const event = (socket, name) => new Promise((done) => socket.once(name, (...args) => done(args)));
const call = (socket, ...args) => new Promise((done) => socket.emit(...args, (...answer) => done(answer)));
const open = (user) => io(url, { auth: { name: user, token: "secret" }, forceNew: true, reconnection: false });

(async () => {
  const ada = open("ada");
  await event(ada, "connect");
  const bo = open("bo");
  await event(bo, "connect");
  const [said] = [event(bo, "said")];
  assert.deepStrictEqual(await call(ada, "say", "hello", Buffer.from([1, 2, 3])), [{ ok: true }]);
  const [user, text, binary] = await said;
  assert.strictEqual(user, old ? "guest" : "ada");
  assert.strictEqual(text, "hello");
  assert.deepStrictEqual([...Buffer.from(binary)], [1, 2, 3]);
  const [online, data] = await call(ada, "count");
  assert.ok(online >= 2);
  assert.deepStrictEqual(data, { visits: 1 });
  assert.deepStrictEqual((await call(ada, "count"))[1], { visits: 2 });
  const [refused] = await call(ada, "dance");
  assert.strictEqual(refused.error.code, "unknown_event");
  if (!old) {
    const mallory = open("mallory");
    const [error] = await event(mallory, "connect_error");
    assert.strictEqual(error.message, "not you");
    mallory.close();
  }
  ada.disconnect();
  bo.disconnect();
  console.log("ok");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
