"""A back end for the hooks of docs/realtime.md §4, with Python's standard library only.

    PORT=8080 HOOK_SECRET=whsec_… python3 server.py
"""

import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["HOOK_SECRET"].removeprefix("whsec_"))
online = {}  # socket id → user


def verified(headers, body):
    """Reports whether the request comes from the gateway, and not five minutes ago."""
    moment = headers.get("webhook-timestamp", "0")
    signed = f"{headers.get('webhook-id')}.{moment}.".encode() + body
    want = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    fresh = moment.isdigit() and abs(time.time() - int(moment)) < 300
    return fresh and any(hmac.compare_digest(want, s) for s in headers.get("webhook-signature", "").split(" "))


def handle(message):
    """Returns the status and the body of the answer."""
    socket = message["socket"]
    if message["type"] == "connect":
        user = message.get("auth", {}).get("name", "guest")
        if user == "mallory":
            return 403, {"message": "not you"}
        online[socket] = user
        return 200, {"user": user, "rooms": ["lobby"], "data": {"visits": 1}}
    if message["type"] == "disconnect":
        print(f"{online.pop(socket, None)} left: {message['reason']}", flush=True)
        return 204, None
    if message["event"] == "say":
        said = {"to": ["lobby"], "event": "said", "args": [message["user"], *message["args"]]}
        return 200, {"ack": [{"ok": True}], "emit": [said]}
    if message["event"] == "count":
        data = message["data"]
        return 200, {"ack": [len(online), data], "data": {"visits": data["visits"] + 1}}
    return 404, {"error": {"code": "unknown_event", "message": f"there is no {message['event']}"}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections
    wbufsize = -1  # head and body leave together: Nagle would hold the body back for 40 ms

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        status, answer = handle(json.loads(body)) if verified(self.headers, body) else (401, {})
        text = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        if status != 204:
            self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Handler)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
