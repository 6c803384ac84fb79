package gateway

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"posthouse/internal/login"
)

// A changed key file is taken over without a restart; a broken one changes nothing.
func TestKeysRotateWithTheirFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key.pem")
	keep := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, firstText, err := login.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	second, secondText, err := login.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	keep(firstText)
	a := &App{config: Config{JWTKeyFile: file}, log: slog.New(slog.DiscardHandler)}
	if err := readSecret(&a.config.JWTKey, file, "POSTHOUSE_JWT_KEY_FILE"); err != nil {
		t.Fatal(err)
	}
	if a.issuer, err = a.newIssuer(); err != nil {
		t.Fatal(err)
	}
	known := a.rotateKeys(a.config.JWTKey)
	for _, broken := range []string{"", "junk", firstText[:40]} {
		keep(broken)
		if got := a.rotateKeys(known); got != known || strings.Count(string(a.issuer.JWKS()), `"kid"`) != 1 {
			t.Errorf("%q was taken over: %s", broken, a.issuer.JWKS())
		}
	}
	keep(secondText + firstText)
	if got := a.rotateKeys(known); got == known {
		t.Error("the new file was not taken over")
	}
	for _, k := range []login.Key{first, second} {
		if !strings.Contains(string(a.issuer.JWKS()), k.ID()) {
			t.Errorf("no %s in %s", k.ID(), a.issuer.JWKS())
		}
	}
}
