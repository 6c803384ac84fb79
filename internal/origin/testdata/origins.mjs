// Writes origins.json: how the URL standard serializes the origins of these URLs, ""
// for those that it refuses. Schemes of applications have the origin "null" in Node;
// browsers that know them send scheme://host, which stands here in its place.
// Command: node origins.mjs > origins.json (Node 20.20.2)
const inputs = [
  "http://a.com", "http://a.com:80", "http://a.com:443", "https://a.com:443", "https://a.com:80", "https://a.com:0443", "https://a.com:", "https://a.com/",
  "HTTPS://A.Com", "http://a.com:65535", "http://a.com:65536", "http://a.com:x", "http://a.com.", "http://a.com..", "http://.a.com", "http://a..com", "http://a_b.com",
  "http://127.0.0.1:3000", "http://127.1", "http://0x7f.1", "http://2130706433", "http://1.2.3.4.", "http://1.2.3.256", "http://a.1", "http://a.0x1", "http://a.0xg",
  "http://[::1]:3000", "http://[0:0:0:0:0:0:0:1]", "http://[::FFFF:1.2.3.4]", "http://[::ffff:102:304]", "http://[::1", "http://[::1]x", "http://[1.2.3.4]", "http://[fe80::1%25eth0]",
  "https://xn--mnchen-3ya.de", "https://münchen.de", "https://a%2ecom", "https://a b.com", "https://*.a.com", "https://u@a.com", "https://u:p@a.com", "https://a.com/x", "https://a.com?x", "https://a.com#x",
  "https://", "https:///a.com", "https:a.com", "https:/a.com", "//a.com", "a.com", "null", "", "https://a.com\\x", "https://a.com\t", " https://a.com",
  "ws://a.com:80", "wss://a.com:443", "wss://a.com",
  "capacitor://localhost", "ionic://localhost", "tauri://localhost", "app://-", "app://.", "chrome-extension://abcdef", "Capacitor://LocalHost", "capacitor://localhost:1", "capacitor://", "file://", "javascript:alert(1)", "data:text/html,x", "blob:https://a.com/x",
];
const web = { "ws:": "http:", "wss:": "https:" };
console.log(JSON.stringify(inputs.map((input) => {
  let url;
  try { url = new URL(input); } catch { return { input, origin: "" }; }
  if (url.origin !== "null" && !url.protocol.startsWith("ws") && !input.startsWith("blob")) return { input, origin: url.origin };
  const protocol = web[url.protocol] ?? url.protocol;
  if (web[url.protocol]) return { input, origin: new URL(protocol + "//" + url.host).origin };
  return { input, origin: url.host ? protocol + "//" + url.host : "null" };
}), null, 1));
