"""The back end of the board: it serves the page, decides about every event and keeps the
notes. It is plain HTTP with Python's standard library; the connections of the people are
the gateway's business.

The gateway asks it by signed requests (docs/realtime.md §4) and is told through its HTTP
API (§5). Environment: PORT, GATEWAY (the gateway's URL), HOOK_SECRET, API_KEY.
"""

import base64
import hashlib
import hmac
import itertools
import json
import os
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

GATEWAY, API_KEY = os.environ["GATEWAY"], os.environ["API_KEY"]
HOOK_KEY = base64.b64decode(os.environ["HOOK_SECRET"].removeprefix("whsec_"))
PAGE = Path(__file__).parent / "page"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
MAX_NOTES, MAX_TEXT, MAX_NAME = 200, 200, 24

lock = threading.Lock()  # guards what follows
notes = {}  # id → note, the oldest first
numbers = itertools.count(1)
names = {}  # user → name; who is at the board now is known to the gateway


def verified(headers, body):
    """Reports whether a request comes from the gateway, and is not an old one again."""
    moment = headers.get("webhook-timestamp", "")
    signed = f"{headers.get('webhook-id')}.{moment}.".encode() + body
    want = "v1," + base64.b64encode(hmac.new(HOOK_KEY, signed, hashlib.sha256).digest()).decode()
    fresh = moment.isdigit() and abs(time.time() - int(moment)) < 300
    return fresh and any(hmac.compare_digest(want, s) for s in headers.get("webhook-signature", "").split(" "))


def tell(event, *args):
    """Emits to everybody at the board through the gateway's API."""
    body = {"namespace": "/board", "to": ["board"], "event": event, "args": list(args)}
    request = urllib.request.Request(f"{GATEWAY}/api/emit", json.dumps(body).encode(),
                                     {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=5).close()


def refuse(message):
    return 403, {"error": {"code": "forbidden", "message": message}}


def answer(to=None, **ack):
    """Acknowledges an event, and emits to the others what it changed."""
    return 200, {"ack": [ack], **({"emit": [{"to": ["board"], "event": to[0], "args": list(to[1:])}]} if to else {})}


def handle(message):
    """Returns the status and the body of the answer to a hook."""
    user = message["user"]
    if message["type"] == "connect":
        name = str(message.get("auth", {}).get("name", "")).strip()[:MAX_NAME]
        if not name:
            return 403, {"message": "name needed"}
        names[user] = name
        return 200, {"data": {"name": name}}  # the rooms are in the configuration
    name, args = message["data"]["name"], message["args"]
    if message["event"] == "open":
        return answer(("named", user, name), notes=list(notes.values()), names=names, user=user)
    if message["event"] == "add":
        text = str(args[0]).strip()[:MAX_TEXT] if args else ""
        if not text or len(notes) >= MAX_NOTES:
            return refuse("empty" if not text else "full")
        note = {"id": next(numbers), "user": user, "name": name, "text": text, "time": int(time.time())}
        notes[note["id"]] = note
        return answer(("added", note), id=note["id"])
    if message["event"] == "remove":
        note = notes.get(args[0]) if args and isinstance(args[0], int) else None
        if note is None or note["user"] != user:
            return refuse("not yours")
        del notes[note["id"]]
        return answer(("removed", note["id"]), id=note["id"])
    return 404, {"error": {"code": "unknown_event", "message": f"there is no {message['event']}"}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/announce":  # curl -d "Lunch is here" …/announce; a real one asks who it is
            tell("announced", body.decode("utf-8", "replace").strip()[:MAX_TEXT])
            self.reply(204)
        elif self.path != "/hook" or not verified(self.headers, body):
            self.reply(401)
        else:
            with lock:
                status, reply = handle(json.loads(body))
            self.reply(status, "application/json", b"" if reply is None else json.dumps(reply).encode())

    def do_GET(self):
        file = PAGE / (self.path.split("?")[0].lstrip("/") or "index.html")
        if file.parent != PAGE or not file.is_file():
            self.reply(404)
            return
        text = file.read_bytes().replace(b"{{gateway}}", GATEWAY.encode())
        self.reply(200, TYPES[file.suffix] + "; charset=utf-8", text)

    def reply(self, status, kind="text/plain", text=b""):
        self.send_response(status)
        self.send_header("content-type", kind)
        if status != 204:
            self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
