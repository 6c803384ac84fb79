package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// FuzzSignup sends any message to /ws/signup and a good one behind it. The good one is
// answered, whatever came before, unless the message broke a rule of the connection; every
// answer is one of docs/login.md §4, and no answer repeats what a peer has sent.
func FuzzSignup(f *testing.F) {
	for _, s := range []string{
		"", "junk", "[]", "null", `{"type":5}`, `{"type":"unknown"}`, `{"type":"qrcode"}`, `{"TYPE":"qrcode"}`, `{"type":"qrcode","type":"x"}`, `{"type":"qrcode"} {`,
		`{"type":"qrcode","message":"x"}`, "\xff\xfe", `{"type":"qrcode\u0000"}`, strings.Repeat("[", 1000), strings.Repeat("x", maxSignupMessage+1),
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	s := newSite(f, func(c *Config) {
		c.LimitConnections, c.LimitHandshakes, c.LimitHandshakesNode = Count{}, Rate{}, Rate{}
		c.LimitQRCodesIP, c.LimitQRCodesAccount, c.LimitQRCodesSocket, c.LimitQRCodesBrowser = Rate{}, Rate{}, Rate{}, Rate{}
	})
	f.Fuzz(func(t *testing.T, message []byte, binary bool) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		c, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.url, "http")+"/ws/signup", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		kind := websocket.MessageText
		if binary {
			kind = websocket.MessageBinary
		}
		_ = c.Write(ctx, kind, message) // a message that is too long ends the connection
		_ = c.Write(ctx, websocket.MessageText, []byte(`{"type":"qrcode"}`))
		_, data, err := c.Read(ctx)
		if err != nil {
			var closed websocket.CloseError
			if len(message) <= maxSignupMessage || !errors.As(err, &closed) || closed.Code != websocket.StatusMessageTooBig {
				t.Fatalf("%q ends the connection: %v", message, err)
			}
			return
		}
		var fields map[string]string
		if err := json.Unmarshal(data, &fields); err != nil || len(fields) != 2 || fields["type"] != "qrcode" ||
			!strings.HasPrefix(fields["message"], "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=L1.") {
			t.Fatalf("%q is answered %s", message, data)
		}
	})
}
