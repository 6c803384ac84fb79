// Writes queries.json: what Node's Engine.IO server makes of these queries
// (engine.io's server.js: Object.fromEntries(new URL(req.url, base).searchParams)).
// Command: node queries.mjs > queries.json (Node 20.20.2)
const queries = [
  "", "&", "=", "a", "a=", "=b", "&&a=b&&", "a=b=c", "a=1&a=2", "a=1&a=", "a&a=1",
  "token=100%", "a=%zz", "x=a;b", "x=a;sid=b", "a=%", "a=%4", "a=%4g", "a=%%41", "a=%25zz", "a=%2", "%=%", "%zz=1",
  "a=1+2", "a+b=c", "a=%2B", "a=%20", "a=%26b%3Dc", "%73id=x", "a%5B%5D=1&a[]=2",
  "a=%e4%bd%a0", "a=%E4%BD%A0", "a=%f0%9f%98%80", "a=%ff", "a=%e4%bd", "a=%e4%bdx", "a=%f0%9f%98", "a=%f0%9f%98x", "a=%c0%80",
  "a=%ed%a0%80", "a=%f4%90%80%80", "a=%e0%80%80", "a=%f8%88%80%80%80", "a=%80%80", "a=%c3%28", "a=%ef%bb%bfb", "a=%00b", "a=%0d%0a",
  "__proto__=1", "constructor=2", "a?b=c", "a=b?c", "a=b/c", "a='b'", "EIO=4&transport=polling&t=Oc1",
];
console.log(JSON.stringify(queries.map((query) => {
  const { searchParams } = new URL("/socket.io/?" + query, "https://socket.io");
  return { query, values: Object.fromEntries(searchParams.entries()) };
}), null, 1));
