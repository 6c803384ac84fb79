package protocol

// differences lists the checks in which ours and Node must not see the same, and
// why. A listed check that sees the same on both fails: the table cannot go stale.
var differences = map[string]string{
	"eio4: websocket refusal: EIO abc": "refused before the 101 instead of a text in the upgraded connection (docs/protocol.md §1.3: fine for all clients and suites)",
	"eio4: websocket refusal: no EIO":  "the same",
	"eio4: websocket refusal: EIO 3":   "the same",

	"eio4: websocket refusal: answer on the raw connection": "CORS headers also on the refusals of upgrades (docs/protocol.md §1.9: headers also on error answers and on the 101)",
	"eio4: websocket: close packet":                         "closes at once instead of by ping timeout (docs/protocol.md §1.6: close it at once in Go)",
	"eio4: 10 upgrade: WebSocket of a websocket session":    "nothing to upgrade, so it is closed; Node begins to probe it (CONFORMANCE 10: closed without hurting the first)",

	"eio4: upgrade: GET still pending at the end gets an answer": "the first GETs of an upgrade get their noop at once (docs/protocol.md §1.7 step 3)",
	"eio4: 06 413 and the session":                               "a body above the limit ends the session and the connection; in Node both go on (docs/reliability.md §4 row 4)",

	"eio3: jsonp": "off by default (docs/reliability.md §4 row 25)",
	"eio3: polling, wrong: binary without end": "a string shorter than its length is an error in both forms (docs/protocol.md §2.1: text shorter than length)",

	"sioclient: recovery: not without an offset": "a client that received no event missed everything since its session began (docs/protocol.md §3.8)",

	"eioclient: initial headers: websocket": "several cookies are several headers; Node joins them to one invalid one on the 101 (docs/protocol.md §1.9: array values → repeated header)",

	"sio5: binary: same num twice, extra keys":       "each frame is named by exactly one placeholder: one named twice could be multiplied (docs/reliability.md §2.1 CVE-2022-2421)",
	"sio5: binary: fewer placeholders than frames":   "the same: a frame that nothing names is a packet that was put together wrongly (docs/reliability.md §4 row 21)",
	"sio5: message: binary out of order, one unused": "the same",

	"behaviours: 17 allowRequest: its message, codes and contexts": "ConnectionError.Message is what the client was told; on the wire both are equal (docs/protocol.md §1.3: code 4, Forbidden or the allowRequest message)",
	"behaviours: 20 cors on errors, answers, preflights":           "no Content-Length on the 204: net/http sends none, as RFC 9110 8.6 demands (docs/protocol.md §1.9 has Node's Content-Length: 0); all else is equal",
	"behaviours: 20 origin that cors does not name":                "the server itself refuses foreign origins (docs/reliability.md §2.1, CVE-2019-13611; 4-25)",
	"behaviours: 32 emits after the disconnect go nowhere":         "Node sends them on the connection that is left (docs/protocol.md §3.4: emits to it are dropped)",

	// docs/conformance.md §3: number and JSON formatting must survive the echo byte by byte.
	// JavaScript parses and prints anew.
	`sio5: message: 42["message",1.5,-0.25,1e21,12345678901234567890,"é😀\u2028",{"b":1,"a":2}]`: "numbers and escapes stay as they came (CONFORMANCE 3)",
	`sio5: message: 42["message","<b>&\"\\/\n\u0001\ud83d\ude00"]`:                              "escapes stay as they came (CONFORMANCE 3)",
	`sio5: message: 42["message",1.0,1E2,0.1e1,-0,100000000000000000000,1e-7]`:                  "numbers stay as they came (CONFORMANCE 3)",
	`sio5: message: 42["message",{"a":1,"a":2}]`:                                                "keys stay as they came (CONFORMANCE 3)",
	`sio5: message: 42["message",{"2":0,"1":0,"b":0,"a":0}]`:                                    "keys stay as they came (CONFORMANCE 3)",
}
