package wxsim

import (
	"strings"
	"testing"
)

// Not one published case is left out: each is judged here by the simulator's own
// signature, cipher and XML reader (the tests beside this one also make the
// accepted ones byte for byte). The gateway's package does the same on its side.
func TestEveryPublishedVectorIsRun(t *testing.T) {
	f := readVectors(t)
	run := map[string]bool{}
	for _, v := range f.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			accepted, want := f.accepts(t, v), v.Expect.Accept == nil || *v.Expect.Accept
			if v.Kind == "url_verify" && v.Expect.Body == "" {
				want = false
			}
			if accepted != want {
				t.Errorf("accepted %v, want %v", accepted, want)
			}
			run[v.Name] = true
		})
	}
	if len(run) != len(f.Vectors) || len(run) < 30 {
		t.Errorf("%d run of %d", len(run), len(f.Vectors))
	}
}

// accepts runs one case of any kind. An unknown kind fails the test.
func (f vectorFile) accepts(t *testing.T, v vector) bool {
	t.Helper()
	var key []byte
	if v.AESKey != "" {
		key = mustKey(t, v.AESKey)
	}
	clock := f.Clock
	if v.Clock != 0 {
		clock = v.Clock
	}
	q := v.Query
	switch {
	case v.Kind == "url_verify":
		return sameText(signature(v.Token, q["timestamp"], q["nonce"]), q["signature"])
	case v.Kind == "reply":
		a := Account{AppID: v.AppID, OriginalID: f.Account.OriginalID, Token: v.Token, AESKey: v.AESKey, Mode: Secure}
		_, err := a.judge([]byte(v.Body), f.Account.OpenID, key)
		return err == nil
	case v.Kind == "push" && strings.HasPrefix(v.Body, "{"): // Tencent's own, for mini programs: JSON
		if !sameText(signature(v.Token, q["timestamp"], q["nonce"]), q["signature"]) {
			return false
		}
		if v.Encrypt == "" {
			return true
		}
		plain, err := unseal(key, v.Encrypt, v.AppID)
		return err == nil && string(plain) == v.Plaintext &&
			sameText(signature(v.Token, q["timestamp"], q["nonce"], v.Encrypt), q["msg_signature"])
	case v.Kind == "push":
		return receive(v, key, clock)
	}
	t.Fatalf("a case of unknown kind %q", v.Kind)
	return false
}

// The samples that the platform's facts print in full (docs/wechat.md §2.10) and that
// are not among the cases of the file.
func TestThePrintedSamplesAreReproduced(t *testing.T) {
	f := readVectors(t)
	a := Account{
		AppID: f.Account.AppID, OriginalID: f.Account.OriginalID, Token: "simTokenForGateway2026", AESKey: f.Account.AESKey, Mode: Secure,
	}
	m := message{
		to: a.OriginalID, from: f.Account.OpenID, created: 1767225662, kind: "event",
		fields: event("subscribe",
			field{Name: "EventKey", Value: "qrscene_L1.q7Yx2Jm0T4uVb9cZkE8sNw"}, field{Name: "Ticket", Value: f.Account.Ticket}),
	}
	e := a.wrap(m, m.from, sealing{1767225662, "889900112", "7f3a9c01d2e4b586"}, nil)
	if got := e.query.Get("signature"); got != "b41ff3e5b56399be6be3a6ed5064687227a79dd3" {
		t.Errorf("sample 5: signature %s", got)
	}
	if got := e.query.Get("msg_signature"); got != "fdbc9cfe3f4d3adce20f9445046809ee7263a986" {
		t.Errorf("sample 5: msg_signature %s", got)
	}
	a.Mode = Plain
	e = a.wrap(m, m.from, sealing{1767225662, "556677889", ""}, nil)
	if got := e.query.Get("signature"); got != "2de0f96351e3ab914f4ad7a48cf74e952f5f8d18" {
		t.Errorf("sample 2: signature %s", got)
	}
	if !strings.HasPrefix(e.body, "<xml><ToUserName><![CDATA[gh_0a1b2c3d4e5f]]></ToUserName>\n<FromUserName>") {
		t.Errorf("sample 2: %s", e.body)
	}
	a.Mode = Compat
	e = a.wrap(m, m.from, sealing{1767225662, "778899001", ""}, nil)
	if got := e.query.Get("signature"); got != "5eb9ef35226a20590ac486e520a1c83454d0f9c5" {
		t.Errorf("sample 4: signature %s", got)
	}
}
