// A Socket.IO server of the npm package that is named: node server.cjs PACKAGE PORT [PING].
const [name, port, ping = "25000"] = process.argv.slice(2);
const http = require("http").createServer((req, res) => { res.writeHead(404); res.end("not here\n"); });
const io = require(name);
const options = { pingInterval: Number(ping), pingTimeout: 2000 };
if (name === "sios-2.5") io(http, options);
else new io.Server(http, options);
http.listen(Number(port), "127.0.0.1");
