package fasthttp1_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"posthouse/internal/testenv"

	"posthouse/socketio/engineio/internal/fasthttp1"
)

// requests of clients that are to be served here: if one of them is not, that
// costs time, but is correct.
var plainRequests = map[string]string{
	"smallest":       "GET /s/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"poll of Chrome": "GET /socket.io/?EIO=4&transport=polling&t=abc&sid=lv_VI97HAXpY6yYWAAAC HTTP/1.1\r\nHost: localhost:3000\r\nConnection: keep-alive\r\nsec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nAccept: */*\r\nSec-Fetch-Site: same-origin\r\nReferer: http://localhost:3000/a?b#c\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: zh-CN,zh;q=0.9\r\nCookie: a=b; c=\"d e\"\r\n\r\n",
	"post of Chrome": "POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: localhost:3000\r\nConnection: keep-alive\r\nContent-Length: 2\r\nContent-type: text/plain;charset=UTF-8\r\nOrigin: http://localhost:3000\r\n\r\n40",
	"WebSocket":      "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: [::1]:80\r\nConnection: Upgrade\r\nPragma: no-cache\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
	"Firefox":        "GET /s/ HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nCache-Control: max-age=0\r\nPragma: no-cache\r\n\r\n",
	"behind nginx":   "GET /s/ HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\nHost: posthouse\r\nX-Request-ID: 0123\r\n\r\n",
	"behind HAProxy": "POST /s/ HTTP/1.1\r\nhost: posthouse\r\ncontent-length: 0\r\nx-forwarded-proto: https\r\n\r\n",
	"node":           "POST /s/ HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n4\x1e2",
	"empty values":   "GET /s/ HTTP/1.1\r\nHost: x\r\nA:\r\nB: \t \r\n\r\n",
	"no space":       "GET /s/ HTTP/1.1\r\nHost:x\r\nA:b\r\n\r\n",
	"tabs":           "GET /s/ HTTP/1.1\r\nHost:\tx\t\r\nA: b\tc\t\r\n\r\n",
	"high bytes":     "GET /s/ HTTP/1.1\r\nHost: x\r\nA: \x80\xff\xe4\xbd\xa0\r\n\r\n",
	"empty query":    "GET /s/? HTTP/1.1\r\nHost: x\r\n\r\n",
	"question marks": "GET /s/??a=?&%zz HTTP/1.1\r\nHost: x\r\n\r\n",
	"path":           "GET /s/../a:b//c@d;e,f=$&+~ HTTP/1.1\r\nHost: x\r\n\r\n",
	"long zeros":     "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0000002\r\n\r\nab",
	"length of GET":  "GET /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	"pipelined":      "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nabGET /s/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"close":          "GET /s/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	"both ways":      "GET /s/ HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, CLOSE\r\nConnection: keep-alive\r\n\r\n",
	"body like head": "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 27\r\n\r\n\r\n\r\nContent-Length: 5\r\n\r\nab",
}

// Requests that net/http must see, because it refuses them, because they do not
// end where they seem to, or because it knows more about them.
var unusualRequests = map[string]string{
	"nothing":                      "",
	"no end":                       "GET /s/ HTTP/1.1\r\nHost: x\r\n",
	"body that nobody sends":       "POST /s/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
	"two lengths":                  "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
	"two lengths, same":            "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab",
	"list of lengths":              "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2, 2\r\n\r\nab",
	"two lengths, GET":             "GET /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 2\r\n\r\nab",
	"length of a GET":              "GET /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab",
	"length with sign":             "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\nab",
	"negative length":              "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\nab",
	"hexadecimal length":           "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0x2\r\n\r\nab",
	"length with letters":          "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2a\r\n\r\nab",
	"length with spaces":           "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1 2\r\n\r\nab",
	"empty length":                 "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\nab",
	"huge length":                  "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nab",
	"no length":                    "POST /s/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"space before the colon":       "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length : 2\r\n\r\nab",
	"second length behind a space": "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length : 0\r\n\r\nab",
	"length behind a bare LF":      "POST /s/ HTTP/1.1\r\nHost: x\r\nA: b\nContent-Length: 0\r\nContent-Length: 2\r\n\r\nab",
	"length behind a bare CR":      "POST /s/ HTTP/1.1\r\nHost: x\r\nA: b\rContent-Length: 0\r\nContent-Length: 2\r\n\r\nab",
	"length with underscore":       "POST /s/ HTTP/1.1\r\nHost: x\r\nContent_Length: 2\r\n\r\nab",
	"chunked":                      "POST /s/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
	"chunked with length":          "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"strange coding":               "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: xchunked\r\n\r\nab",
	"coding behind a tab":          "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding:\tchunked\r\n\r\nab",
	"chunked GET":                  "GET /s/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"folded line":                  "GET /s/ HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
	"folded first line":            "GET /s/ HTTP/1.1\r\n Host: x\r\n\r\n",
	"folded with a tab":            "GET /s/ HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\n\r\n",
	"bare LF":                      "GET /s/ HTTP/1.1\nHost: x\n\n",
	"bare LF in the request line":  "GET /s/ HTTP/1.1\nHost: x\r\n\r\n",
	"bare CR in the request line":  "GET /s/\r HTTP/1.1\r\nHost: x\r\n\r\n",
	"two CR":                       "GET /s/ HTTP/1.1\r\nHost: x\r\nA: b\r\r\n\r\n",
	"NUL in a value":               "GET /s/ HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
	"NUL in a name":                "GET /s/ HTTP/1.1\r\nHost: x\r\nA\x00: b\r\n\r\n",
	"NUL in the target":            "GET /s/\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
	"DEL in a value":               "GET /s/ HTTP/1.1\r\nHost: x\r\nA: \x7f\r\n\r\n",
	"empty name":                   "GET /s/ HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
	"line without colon":           "GET /s/ HTTP/1.1\r\nHost: x\r\nabc\r\n\r\n",
	"name with a space":            "GET /s/ HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n",
	"name with high bytes":         "GET /s/ HTTP/1.1\r\nHost: x\r\n\xe4: c\r\n\r\n",
	"no field":                     "GET /s/ HTTP/1.1\r\n\r\n",
	"no Host":                      "GET /s/ HTTP/1.1\r\nA: b\r\n\r\n",
	"empty Host":                   "GET /s/ HTTP/1.1\r\nHost:\r\n\r\n",
	"two Hosts":                    "GET /s/ HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
	"two Hosts, same":              "GET /s/ HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n",
	"Host with userinfo":           "GET /s/ HTTP/1.1\r\nHost: a@x\r\n\r\n",
	"Host with a path":             "GET /s/ HTTP/1.1\r\nHost: x/y\r\n\r\n",
	"Host with a space":            "GET /s/ HTTP/1.1\r\nHost: x y\r\n\r\n",
	"absolute target":              "GET http://x/s/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"asterisk":                     "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
	"authority":                    "GET //x/s/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"escaped path":                 "GET /s/%2e%2e/x HTTP/1.1\r\nHost: x\r\n\r\n",
	"broken escape":                "GET /s/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
	"fragment":                     "GET /s/?a#b HTTP/1.1\r\nHost: x\r\n\r\n",
	"fragment without query":       "GET /s/#b HTTP/1.1\r\nHost: x\r\n\r\n",
	"backslash":                    "GET /s\\ HTTP/1.1\r\nHost: x\r\n\r\n",
	"space in the target":          "GET /s/ x HTTP/1.1\r\nHost: x\r\n\r\n",
	"space in the query":           "GET /s/?a b HTTP/1.1\r\nHost: x\r\n\r\n",
	"tab in the request line":      "GET\t/s/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"two spaces":                   "GET  /s/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"space behind the version":     "GET /s/ HTTP/1.1 \r\nHost: x\r\n\r\n",
	"high bytes in the target":     "GET /s/\xe4 HTTP/1.1\r\nHost: x\r\n\r\n",
	"HTTP/1.0":                     "GET /s/ HTTP/1.0\r\nHost: x\r\n\r\n",
	"HTTP/0.9":                     "GET /s/\r\n\r\nxxxxxxxxxxxx",
	"HTTP/2":                       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"HTTP/1.10":                    "GET /s/ HTTP/1.10\r\nHost: x\r\n\r\n",
	"version in small letters":     "GET /s/ http/1.1\r\nHost: x\r\n\r\n",
	"method in small letters":      "get /s/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"another method":               "PUT /s/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"longer method":                "GETX /s/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"HEAD":                         "HEAD /s/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"line break in front":          "\r\nGET /s/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"expectation":                  "POST /s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nab",
	"Connection names a field":     "GET /s/ HTTP/1.1\r\nHost: x\r\nConnection: Cookie\r\n\r\n",
	"upgrade to HTTP/2":            "GET /s/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
	"upgrade by POST":              "POST /s/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
	"trailer":                      "POST /s/ HTTP/1.1\r\nHost: x\r\nTrailer: A\r\nContent-Length: 0\r\n\r\n",
	"very long line":               "GET /s/?" + strings.Repeat("a", 9000) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	"many fields":                  "GET /s/ HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 100) + "\r\n",
	"TLS":                          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}

func TestParse_PlainRequests_AreRead(t *testing.T) {
	for name, data := range plainRequests {
		t.Run(name, func(t *testing.T) {
			if _, err := fasthttp1.Parse([]byte(data)); err != nil {
				t.Fatal("refused")
			}
			checkLikeNetHTTP(t, []byte(data))
		})
	}
}

func TestParse_UnusualRequests_AreRefused(t *testing.T) {
	for name, data := range unusualRequests {
		if _, err := fasthttp1.Parse([]byte(data)); err != fasthttp1.ErrUnusual { //nolint:errorlint // the very value
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A cut within the head is net/http's; behind it, Parse says how much is missing.
func TestParse_PartOfARequest(t *testing.T) {
	for name, data := range plainRequests {
		whole, err := fasthttp1.Parse([]byte(data))
		if err != nil {
			t.Fatal(name, err)
		}
		head := strings.Index(data, "\r\n\r\n") + 4
		for i := range whole.Size {
			want := fasthttp1.ErrUnusual
			if i >= head {
				want = fasthttp1.ErrIncomplete
			}
			part, err := fasthttp1.Parse([]byte(data[:i]))
			if err != want || want == fasthttp1.ErrIncomplete && part.Size != whole.Size { //nolint:errorlint // the very values
				t.Errorf("%s: the first %d bytes: %v, size %d of %d", name, i, err, part.Size, whole.Size)
			}
		}
	}
}

func TestHead_Request_BodyIsReadToItsEnd(t *testing.T) {
	head, err := fasthttp1.Parse([]byte(plainRequests["post of Chrome"]))
	if err != nil {
		t.Fatal(err)
	}
	r := head.Request(t.Context(), "1.2.3.4:5")
	if b, err := io.ReadAll(r.Body); err != nil || string(b) != "40" {
		t.Errorf("%q, %v", b, err)
	}
	if n, err := r.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("behind the end: %d, %v", n, err)
	}
	r = head.Request(t.Context(), "1.2.3.4:5")
	r.Body.Close()
	if b, _ := io.ReadAll(r.Body); len(b) != 0 {
		t.Errorf("after Close: %q", b)
	}
	if r.RemoteAddr != "1.2.3.4:5" || r.Context() != t.Context() {
		t.Error("not the given address or context")
	}
	head, _ = fasthttp1.Parse([]byte(plainRequests["smallest"]))
	if r := head.Request(t.Context(), ""); r.Body != http.NoBody {
		t.Error("a GET has a body")
	}
}

func TestParse_Allocations(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates")
	}
	for name, limit := range map[string]float64{"poll of Chrome": 10, "post of Chrome": 7} {
		data := []byte(plainRequests[name])
		n := testing.AllocsPerRun(100, func() {
			head, err := fasthttp1.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			head.Request(t.Context(), "1.2.3.4:5")
		})
		if n > limit {
			t.Errorf("%s: %v allocations, limit %v", name, n, limit)
		}
		t.Logf("%s: %v allocations", name, n)
	}
}

func BenchmarkParse(b *testing.B) {
	const fields = "Host: 127.0.0.1:3000\r\nAccept: */*\r\nUser-Agent: node-XMLHttpRequest\r\nConnection: keep-alive\r\n" +
		"Accept-Encoding: gzip, deflate\r\nAccept-Language: en\r\nSec-Fetch-Mode: cors\r\n"
	const target = " /socket.io/?EIO=4&transport=polling&t=P1abcde&sid=abcdefghijklmnopqrst HTTP/1.1\r\n"
	for name, text := range map[string]string{
		"GET":  "GET" + target + fields + "\r\n",
		"POST": "POST" + target + fields + "Content-type: text/plain;charset=UTF-8\r\nContent-Length: 20\r\n\r\n" + `42["echo","abcdefgh"`,
	} {
		b.Run(name, func(b *testing.B) {
			data := []byte(text)
			b.ReportAllocs()
			for b.Loop() {
				head, err := fasthttp1.Parse(data)
				if err != nil {
					b.Fatal(err)
				}
				_ = head.Request(b.Context(), "127.0.0.1:3001")
			}
		})
	}
}
