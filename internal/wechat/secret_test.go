package wechat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"posthouse/internal/wechat"
)

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	s := wechat.Secret("canary")
	k, err := wechat.ParseAESKey("canarycanarycanarycanarycanarycanarycanaryA")
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&all, verb+" ", s)
		fmt.Fprintf(&all, verb+" ", &s)
		fmt.Fprintf(&all, verb+" ", k)
		fmt.Fprintf(&all, verb+" ", struct{ S wechat.Secret }{s})
	}
	log := slog.New(slog.NewJSONHandler(&all, nil))
	log.Info("x", "secret", s, "in", struct{ S wechat.Secret }{s})
	raw, err := json.Marshal(map[string]any{"s": s, "k": k})
	if err != nil {
		t.Fatal(err)
	}
	all.Write(raw)
	// "canary" in hex, in decimal, and as the key's first bytes.
	for _, leak := range []string{"canary", "63616e617279", "99 97 110"} {
		if strings.Contains(strings.ToLower(all.String()), leak) {
			t.Errorf("%q in %s", leak, all.String())
		}
	}
	if s.Reveal() != "canary" {
		t.Error("Reveal does not")
	}
}

func TestPseudonymsAreStableAndKeyed(t *testing.T) {
	t.Parallel()
	a, b := wechat.Pseudonym("k1", "oAlice"), wechat.Pseudonym("k1", "oBob")
	if a == b || a != wechat.Pseudonym("k1", "oAlice") || a == wechat.Pseudonym("k2", "oAlice") || len(a) != 12 {
		t.Errorf("%s %s", a, b)
	}
	if wechat.Pseudonym("k1", "") != "" {
		t.Error("nobody has a name")
	}
}
