// Records what the real Node packages do, for the tests of this folder:
//   text.json       socket.io-parser: what its encoder writes
//   verdicts.json   socket.io-parser: what its decoder takes and refuses
//   notepack.json   notepack.io and @msgpack/msgpack: bytes of values
//   packs.json      socket.io-msgpack-parser: what its decoder takes and refuses
//   packets.json    socket.io-msgpack-parser: both directions of a real connection
// Run: node record.mjs (the packages are in internal/interop/node)
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { writeFileSync } from "node:fs";

const require = createRequire(new URL("../../../internal/interop/node/package.json", import.meta.url));
const parser = require("socket.io-parser");
const notepack = require("notepack.io");
const official = require("@msgpack/msgpack");
const msgpackParser = require("socket.io-msgpack-parser");

const save = (name, list) =>
  writeFileSync(new URL(name, import.meta.url), "[\n" + list.map((x) => JSON.stringify(x)).join(",\n") + "\n]\n");
const hex = (b) => Buffer.from(b).toString("hex");
const buf = (...b) => Buffer.from(b);

// The canonical form of a value: JSON with placeholders, and hex attachments.
function canonical(value) {
  const bin = [];
  const walk = (v) => {
    if (v instanceof ArrayBuffer || ArrayBuffer.isView(v)) {
      bin.push(hex(v));
      return { _placeholder: true, num: bin.length - 1 };
    }
    if (Array.isArray(v)) return v.map(walk);
    if (v && typeof v === "object" && !(v instanceof Date)) {
      return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, walk(x)]));
    }
    return v;
  };
  const json = JSON.stringify(walk(value));
  return { json: json ?? "null", bin };
}

// --- text.json
const long = "0123456789abcdef".repeat(20);
const values = [
  0, -0, 1, -1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 2 ** 53 - 1, 2 ** 53, 2 ** 53 + 2, 2 ** 63, 2 ** 64 - 2048, 1e18, 1e20,
  -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -(2 ** 53), -(2 ** 63),
  0.1, 1.5, -2.25, 1e21, 1e-6, 1e-7, 123456789.123, 5e-324, Number.MAX_VALUE, 0.1 + 0.2, 1e300, -1e-10,
  "", "a", "x".repeat(31), "x".repeat(32), "x".repeat(255), "x".repeat(256), "é日𝒳\u2028\u2029</script>&\u007f\u0001\n\"\\/", "y".repeat(65536),
  true, false, null, [], {}, [1, [2, [3]]], { b: 1, a: [null, { c: "x" }] }, Array(15).fill(1), Array(16).fill("a"), Array(70000).fill(0),
  Object.fromEntries(Array.from({ length: 15 }, (_, i) => ["k" + i, i])), Object.fromEntries(Array.from({ length: 16 }, (_, i) => ["k" + i, { v: i }])),
  [long, { [long]: long }], [[[Array(20).fill([1, { a: Array(17).fill(2) }])]]],
  buf(), buf(1, 2, 3), [buf(0xff), { x: buf(7, 8) }, "s"], Buffer.alloc(255, 1), Buffer.alloc(256, 2), Buffer.alloc(65536, 3), new Uint8Array([5, 6]), new ArrayBuffer(2),
];
const packets = [
  { type: 0, nsp: "/" }, { type: 0, nsp: "/", data: { sid: "oSO0OpakMV_3jnilAAAA" } }, { type: 0, nsp: "/chat", data: { sid: "x", pid: "y" } },
  { type: 1, nsp: "/" }, { type: 1, nsp: "/chat" }, { type: 2, nsp: "/", data: ["hello", 1] }, { type: 2, nsp: "/n", id: 0, data: ["a"] },
  { type: 3, nsp: "/", id: 12, data: [] }, { type: 3, nsp: "/n", id: 9007199254740991, data: ["x", { y: [false] }] },
  { type: 4, nsp: "/no", data: { message: "Invalid namespace" } }, { type: 4, nsp: "/", data: "text" },
  { type: 2, nsp: "/", id: 789, data: ["ev", buf(1), { deep: [buf(2, 3), "x", { e: buf() }] }] }, { type: 3, nsp: "/b", id: 1, data: [buf(9)] },
  { type: 0, nsp: "/", data: { key: "no scan" } },
  ...values.filter((v) => JSON.stringify(v).length < 5000).map((v) => ({ type: 2, nsp: "/", data: ["v", v] })),
];
save("text.json", packets.map((p) => {
  const c = p.data === undefined ? { json: "", bin: [] } : canonical(p.data);
  const [text, ...bin] = new parser.Encoder().encode({ ...p });
  return { type: p.type, nsp: p.nsp, id: p.id, ...c, text, attachments: bin.map(hex) };
}));

// --- verdicts.json: messages ("t…" text, "b…" hex) → what the decoder says
function verdict(messages) {
  const decoder = new parser.Decoder();
  const got = [];
  decoder.on("decoded", (p) => got.push(p));
  try {
    for (const m of messages) decoder.add(m[0] === "t" ? m.slice(1) : Buffer.from(m.slice(1), "hex"));
  } catch {
    return { ok: false };
  }
  return { ok: true, packets: got.map((p) => ({ type: p.type, nsp: p.nsp, id: p.id, ...(p.data === undefined ? { json: "", bin: [] } : canonical(p.data)) })) };
}
const text = [
  "", " ", "0", "0{}", '0{"token":"x"}', "0[]", '0"a"', "0null", "0 {}", "0/chat", "0/chat,", "0/chat,{}", "0/chat?a=b,{}", "0/,", "0/,{}", "0,{}", "0//,{}", "05", "0/x,7{}", "0true", "0false",
  "1", "1/chat,", "1{}", "1[]", "1null", "1,", "1 ", "19", "1/x,{}", "1false",
  "2", "2[]", '2["a"]', '2["a",1,"2",{"3":[false]}]', '2/n,["a"]', '2/n["a"]', '2,["a"]', '21["a"]', '2007["a"]', '2 1["a"]', '21 ["a"]', '2 ["a"]', '2\n["a"]', '2-1["a"]', '21.5["a"]', '21e2["a"]', '2+1["a"]', '20x1["a"]',
  '2["a"', '2["a"]x', '2["a"] ', '2[ "a" , 1 ]', '2["a",]', "2[1,2]", "2[-1]", "2[1.5]", "2[1e999]", "2[null]", "2[true]", "2[[]]", "2[{}]", '2[{"toString":"x"}]', "2{}", '2"a"', "2null", "2false", "2true", "25",
  ...["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener", "error", "connection", "__proto__", "constructor", "Connect", "\\u0063onnect", "connect\\u0000", ""].map((e) => `2["${e}"]`),
  '2["a","\\ud800"]', '2["a","\\udc00\\ud800"]', '2["a","\\x"]', '2["a","\t"]', '2["a",01]', '2["a",.5]', '2["a",1.]', '2["a",-]', '2["a",1e]', '2["a",+1]', '2["a",NaN]', '2["a",0x1]', '2["a",1E+5,-0,0.0,1e-999]', '2["a",{"k":1,"k":2}]', '2["a",{"__proto__":1}]', '2["a",{k:1}]', "2['a']", '2["a"]]', '2["a"],', '2["a",undefined]', "2[\"a\",\"\u2028\u007f\"]", '2["a",tru]', '2["a",nulll]', '2["a"//]',
  "3", "3[]", '3["a"]', '31["a"]', "31", "3{}", '3"a"', "3null", '3/n,5["a"]', '3["connect"]',
  "4", "4{}", '4"a"', "4[]", "4null", '4{"message":"x"}', '4/n,"x"', "4true", "41",
  "5", "51", "51-", "5-", '5["a"]', '50-["a"]', '51["a"]', '5-1-["a"]', '51.0-["a"]', '51.5-["a"]', '5 1-["a"]', '51 -["a"]', '5+1-["a"]', '51e0-["a"]', '50x1-["a"]', '501-["a"]', '510-["a"]', '511-["a"]', '5999999999999999999999-["a"]', '51-/n,3["a"]', '51-["connect"]', "51-{}", "5null-", '5Infinity-["a"]', '5--["a"]',
  "6", "61-", '61-["a"]', '61-5["a"]', "61-{}", '60-[]', "61-null",
  "7", "8", "9", "x", "-", "-1", "/", ":", "[", '"', "é2", '2["é𝒳"]', "٣[]",
  '2["a"' + ',"b"'.repeat(300) + "]", '2["a",' + "[".repeat(31) + "]".repeat(31) + "]", '2["a",' + "[".repeat(32) + "]".repeat(32) + "]", '2["a",' + "[".repeat(2000) + "]".repeat(2000) + "]",
  "2/" + "n".repeat(254) + ',["a"]', "2/" + "n".repeat(255) + ',["a"]', '29007199254740991["a"]', '29007199254740992["a"]', "2" + "9".repeat(400) + '["a"]',
].map((s) => ["t" + s]);
const ph = (s) => `{"_placeholder":true,"num":${s}}`;
const sequences = [
  ["b00"], ["t2[\"a\"]", "b00"], ["t51-[\"a\"]"], ["t51-[\"a\"]", "t2[\"a\"]"], ["t52-[\"a\"]", "b01", "t2[\"a\"]"], ["t51-", "b01"], ["t61-", "b01"],
  ...["0", "1", "-1", "-0", "0.5", "1.5", "1e0", "0e5", "10e-1", '"0"', '"splice"', "null", "true", "[0]", "{}", "1e309", "9007199254740993", "00"].flatMap((n) => [
    [`t51-["e",${ph(n)}]`, "b0102"], [`t52-["e",[{"k":${ph(n)}}]]`, "b0102", "b03"], [`t61-[${ph(n)}]`, "b0102"],
  ]),
  ...['{"_placeholder":true}', '{"num":0,"_placeholder":true}', '{"_placeholder":true,"num":0,"x":[1]}', '{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":9}}', '{"x":{"_placeholder":true,"num":9},"num":0,"_placeholder":true}', '{"_placeholder":1,"num":9}', '{"_placeholder":"true","num":9}', '{"_placeholder":false,"num":9}',
    '{"_placeholder":false,"num":9,"_placeholder":true,"num":0}', '{"_placeholder":true,"num":0,"_placeholder":false,"num":9}', '{"_\\u0070laceholder":true,"n\\u0075m":0}', '{"_\\u0070laceholder":true,"num":3}', '"{\\"_placeholder\\":true,\\"num\\":9}"', '{ "_placeholder" : true , "num" : 0 }', "[[[" + ph(0) + "]]]", ph(0) + "," + ph(0), '{"a":' + ph(0) + ',"b":{"_placeholder":true,"num":0,"y":1}}', '{"_placeholder":[true],"num":7}', '{"\\_placeholder":true}',
  ].map((v) => [`t51-["e",${v}]`, "b0a0b"]),
  [`t52-["e",${ph(1)},${ph(0)}]`, "b01", "b02", 't2["after"]', `t51-["e",${ph(0)}]`, "b03"], [`t2["e",${ph(9)}]`], ["t51-" + ph(0), "b00"], [`t51-[${ph(0)}]`, "b00"],
];
// Mutations of good packets, from a fixed seed.
let seed = 12345;
const random = (n) => ((seed = (seed * 1103515245 + 12345) & 0x7fffffff), (seed >> 8) % n);
const good = ['2["a",1,"2",{"3":[false]}]', '2/chat,12["msg",{"k":"v\\n\\u00e9","n":-1.5e+3}]', '0/a,{"t":null}', "1/b,", '37[true,[],{}]', '4/c,{"message":"no"}', `51-9["e",${ph(0)},2]`, '62-/d,3[' + ph(1) + "," + ph(0) + "]"];
const alphabet = '0123456789-,/[]{}":eE+.ntf\\u _aT \n\u0000é';
const mutations = [];
for (let i = 0; i < 2500; i++) {
  let s = good[random(good.length)];
  for (let n = 1 + random(3); n > 0; n--) {
    const at = random(s.length + 1), c = alphabet[random(alphabet.length)];
    s = [s.slice(0, at) + c + s.slice(at), s.slice(0, at) + s.slice(at + 1), s.slice(0, at) + c + s.slice(at + 1)][random(3)];
  }
  mutations.push(["t" + s, ...(s[0] === "5" ? ["b01"] : s[0] === "6" ? ["b01", "b02"] : [])]);
}
save("verdicts.json", [...text, ...sequences, ...mutations].map((m) => ({ messages: m, ...verdict(m) })));

// --- notepack.json
const decodings = [
  "c0", "c1", "c2", "c3", "00", "7f", "80", "90", "a0", "e0", "ff", "cc80", "cd0100", "ce00010000", "cf0000000100000000", "cf0020000000000000", "cf0020000000000001", "cfffffffffffffffff", "d080", "d18000", "d280000000", "d3ffffffff00000000", "d38000000000000000", "d3ffdfffffffffffff",
  "ca3fc00000", "ca3dcccccd", "ca7f800000", "ca7fc00000", "caff800000", "cb3ff0000000000000", "cb3fb999999999999a", "cb7ff8000000000000", "cb8000000000000000", "cb444b1ae4d6e2ef50",
  "a161", "d90161", "da000161", "db0000000161", "a2c3a9", "a4f09d92b3", "c400", "c4020102", "c500010a", "c6000000010a",
  "d6ff00000000", "d6ff65bdb5d2", "d7ff0000000065bdb5d2", "d7ffbc4f6a4065bdb5d2", "d7ff00000003ffffffff", "d7ff000f424100000001", "c70cff00000000ffffffffffffffff", "c70cff3b9ac9ff0000000000000000", "c70cff0007a120fffffffffffffffe", "c70cff000000007fffffffffffffff", "c70cff00000000000007dbb8bb2000", "c70cff00000000000007dba8218000", "c70cff00000000000007dba8218001", "c70cff000000010000000000000000",
  "d40000", "92d4000001", "82a161d40000a16201", "d7000000018d6ecb2400", "d700fffffffffffffc18", "c70200aabb", "c8000200aabb", "c90000000200aabb", "c70201aabb", "d401aa", "d500aabb", "d600aabbccdd", "d80000112233445566778899aabbccddeeff", "c8000105aa",
  "8101a161", "81c0a161", "81c3a161", "81cb3ff8000000000000a161", "81a15f01", "82ac5f706c616365686f6c646572c3a36e756d00", "92c4010182ac5f706c616365686f6c646572c3a36e756d00", "81c40161a161",
  "dc000101", "dd0000000101", "de0001a16101", "df00000001a16101", "ddffffffff", "dfffffffff", "dcffff00", "dbffffffff61", "c6ffffffff00", "c9ffffffff0100", "92", "9201", "a261", "81a161", "cd01", "cb00", "d6ff0000", "c70cff00", "0000", "c0c0", "",
];
const toJSON = (v) => v;
save("notepack.json", [
  ...values.map((v) => ({ op: "encode", ...canonical(v), hex: hex(notepack.encode(v)), official: hex(official.encode(v instanceof ArrayBuffer ? new Uint8Array(v) : v)) })),
  ...[0, 1706929362000, 1706929362789, -1, -1500, 17179869184000, 4294967295000, 4294967296000, 8.64e15].map((ms) => ({ op: "date", ms, hex: hex(notepack.encode(new Date(ms))) })),
  ...decodings.map((h) => {
    try {
      return { op: "decode", hex: h, ok: true, ...canonical(notepack.decode(Buffer.from(h, "hex"))) };
    } catch {
      return { op: "decode", hex: h, ok: false };
    }
  }),
].map(toJSON).map((x) => (x.hex.length > 3000 ? { ...x, json: undefined, bin: undefined, official: undefined, hex: undefined, skipped: true } : x)).filter((x) => !x.skipped));

// --- packs.json
const packs = [
  ...[{}, { a: 1 }, [1], "a"].flatMap((data) => [0, 1, 2, 3, 4, 5, 6, -1, 7, 1.5, "2"].map((type) => ({ type, data, nsp: "/" }))),
  ...[0, 1, 2, 3, 4].flatMap((type) => [{ type, nsp: "/" }, { type, data: null, nsp: "/" }, { type, data: buf(1), nsp: "/" }, { type, nsp: "/n", id: 3, data: type < 2 ? undefined : type === 4 ? "x" : ["e"] }]),
  ...["", "chat", "/" + "n".repeat(254), "/" + "n".repeat(255), 5, null, undefined].map((nsp) => ({ type: 2, data: ["a"], nsp })),
  ...[0, 1, -1, 1.5, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 1e300, NaN, "1", null, undefined].map((id) => ({ type: 2, id, data: ["a"], nsp: "/" })),
  ...[[], [1], [null], [{}], [[]], [true], ["connect"], ["error"], [buf(1)], ["a", buf(1), { b: [buf(2)] }], ["a", undefined], ["a", { u: undefined }]].map((data) => ({ type: 2, data, nsp: "/" })),
  { type: 2, data: ["a"], nsp: "/", options: { compress: true }, extra: [buf(1)] }, { nsp: "/", data: ["a"] }, [], null, 5, "x",
];
const pack = (list) => list.map(({ h, p }) => {
  const decoder = new msgpackParser.Decoder();
  let got;
  decoder.on("decoded", (x) => (got = x));
  try {
    decoder.add(Buffer.from(h, "hex"));
  } catch {
    return { hex: h, ok: false };
  }
  return { hex: h, ok: true, type: got.type, nsp: got.nsp, id: got.id, ...(got.data === undefined ? { json: "", bin: [] } : canonical(got.data)) };
});
const whole = hex(notepack.encode({ type: 2, data: ["a"], nsp: "/" }));
save("packs.json", pack([...packs.map((p) => ({ h: hex(notepack.encode(p)) })), ...[whole + "00", whole.slice(0, -2), "", "c1", "83" + whole.slice(2) + "a161"].map((h) => ({ h }))]));

// --- packets.json: a real connection
const { Server } = require("socket.io");
const { io } = require("socket.io-client");
const http = createServer();
const server = new Server(http, { parser: msgpackParser, transports: ["websocket"] });
const log = [];
server.of("/").on("connection", (socket) => {
  socket.emit("plain", 1, "two", { three: [null, 4.5] });
  socket.emit("bin", Buffer.from([1, 2, 3]), { d: new Uint8Array([4]) });
  socket.emit("ask", "q", () => {});
  server.to(socket.id).emit("room", { x: true });
  socket.on("echo", (...args) => args.pop()(...args));
  socket.on("bye", () => socket.disconnect());
});
server.of("/no").use((_, next) => next(Object.assign(new Error("refused"), { data: { why: 1 } })));
await new Promise((r) => http.listen(0, "127.0.0.1", r));
const url = `http://127.0.0.1:${http.address().port}`;
const client = io(url, { parser: msgpackParser, transports: ["websocket"], auth: { token: "t" }, autoConnect: false });
client.io.on("open", () => {
  client.io.engine.on("packet", ({ type, data }) => type === "message" && log.push({ from: "server", hex: hex(data) }));
  client.io.engine.on("packetCreate", ({ type, data }) => type === "message" && log.push({ from: "client", hex: hex(data) }));
});
client.on("ask", (q, cb) => cb("answer", Buffer.from([9])));
client.connect();
await new Promise((r) => client.on("connect", r));
await client.emitWithAck("echo", "a", 1, Buffer.from([7]), { n: -5 });
client.emit("noack");
await new Promise((r) => client.io.socket("/no").connect().on("connect_error", r));
await new Promise((r) => client.io.socket("/unknown").connect().on("connect_error", r));
client.emit("bye");
await new Promise((r) => client.on("disconnect", r));
client.close();
server.close();
// Session ids are random: keep the shape.
for (const x of log) {
  const b = Buffer.from(x.hex, "hex");
  x.packet = canonical(notepack.decode(b));
}
save("packets.json", log);
