package hook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"posthouse/socketio/hook"
)

// whsec is a secret of n bytes.
func whsec(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }

func TestParseSecrets_RefusesWithTheLine(t *testing.T) {
	const good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	for text, want := range map[string]string{
		"":                           "none",
		good + "\nMfKQ9r8GKYqrTwjUP": "line 2",
		"whsec_c2hvcnQ=":             "line 1",
		"whsec_*":                    "line 1",
		good + "*":                   "line 1",
		good[len("whsec_"):]:         "line 1",
		whsec(23):                    "line 1",
		whsec(65):                    "line 1",
		"\n\nwhsec_" + strings.Repeat("A", 92) + "==": "line 3",
	} {
		if _, err := hook.ParseSecrets(text); !errors.Is(err, hook.ErrSecret) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "c2hvcnQ") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, n := range []int{24, 64} {
		if _, err := hook.ParseSecrets(whsec(n)); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	list, err := hook.ParseSecrets("\ufeff"[:0] + good + "\r\n\n" + good + "\n")
	if err != nil || len(list) != 2 {
		t.Errorf("%v, %v", list, err)
	}
	if got := fmt.Sprintf("%v %+v %#v %s", list[0], list[0], list[0], list); strings.Contains(got, "31") {
		t.Errorf("printed %q", got)
	}
}

// The signature is that of the Standard Webhooks specification, one for each secret.
func TestClient_Signature_OneForEachSecret(t *testing.T) {
	key := []byte("0123456789abcdef01234567")
	older := []byte("another key of 24 bytes!")
	text := "whsec_" + base64.StdEncoding.EncodeToString(key) + "\nwhsec_" + base64.StdEncoding.EncodeToString(older)
	both, err := hook.ParseSecrets(text)
	if err != nil {
		t.Fatal(err)
	}
	var want string
	b := &backend{}
	saved := secrets
	secrets = both
	defer func() { secrets = saved }()
	b.answer = func(r *http.Request, _ request) (*http.Response, error) {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		var data strings.Builder
		buf := make([]byte, 4096)
		for n, err := body.Read(buf); n > 0 || err == nil; n, err = body.Read(buf) {
			data.Write(buf[:n])
		}
		sign := func(key []byte) string {
			mac := hmac.New(sha256.New, key)
			fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp"), data.String())
			return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		}
		want = sign(key) + " " + sign(older)
		return respond(204, ""), nil
	}
	srv, _ := attached(t, b, &hook.Options{Events: []string{"connect"}})
	srv.Connect("/app", nil)
	if got := b.headers[0].Get("Webhook-Signature"); got != want || got == "" {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzParseSecrets(f *testing.F) {
	f.Add("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := hook.ParseSecrets(text)
		if (err == nil) != (len(list) > 0) {
			t.Errorf("%q: %d secrets, %v", text, len(list), err)
		}
	})
}
