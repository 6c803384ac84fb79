package gateway_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posthouse/internal/interop/rig"
)

// namespaceFile is a configuration with the namespace /app for the tokens of the login.
func namespaceFile(t *testing.T, more string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "posthouse.yaml")
	text := `namespaces:
  /app:
    rooms: ["user:{sub}", everyone]
    join: ["topic:*", "doc:{sub}:*"]
    relay: [typing]
    limits: {events: 200/s, rooms: 20}
` + more
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// signIn returns a token of a person and the subject that it names.
func signIn(t *testing.T, base, person string) (jwt, sub string) {
	t.Helper()
	pg := open(t, base)
	q := pg.qrcode()
	scan(t, base, person, q.Ticket, true)
	jwt = text(t, pg.next("token"))
	_, claims := token(t, base, jwt)
	return jwt, claims["sub"].(string)
}

// Pages sign in by the login and live in a configured namespace afterwards.
func TestNamespaces_RealClientsWithTokensOfTheLogin(t *testing.T) {
	t.Parallel()
	const many = "  /many:\n    join: [\"topic:*\"]\n    limits: {events: 1000/s, rooms: 300}\n"
	base, p := rig.Gateway(t, "POSTHOUSE_CONFIG="+namespaceFile(t, many))
	jwt, sub := signIn(t, base, "alice")
	for _, client := range []string{"socket.io-client", "sioc-3.1", "sioc-2.5"} {
		t.Run(client, func(t *testing.T) {
			if out := rig.Node(t, time.Minute, filepath.Join("testdata", "namespaces.cjs"), client, base, jwt, sub); !strings.Contains(out, "ok") {
				t.Error(out)
			}
		})
	}
	if strings.Contains(p.Output(), jwt) || strings.Contains(p.Output(), sub) {
		t.Error("the log holds a token or an openid")
	}
}

// A socket lives no longer than its token, and a token that is over lets none in. The
// namespace names its issuer, the gateway itself, by a key file.
func TestNamespaces_ExpiredTokensEndTheirSockets(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("hs256:"+strings.Repeat("A", 43)+"=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := namespaceFile(t, "  /strict:\n    jwt: {issuer: posthouse, audience: posthouse, key-file: "+key+", clock-skew: 0s}\n")
	base, _ := rig.Gateway(t, "POSTHOUSE_CONFIG="+file, "POSTHOUSE_JWT_TTL=4s", "POSTHOUSE_JWT_KEY_FILE="+key)
	jwt, _ := signIn(t, base, "alice")
	script := filepath.Join("testdata", "ended.cjs")
	if out := rig.Node(t, time.Minute, script, base+"/strict", jwt); out != "connected\nexpired\ndisconnected: io server disconnect\n" {
		t.Errorf("%q", out)
	}
	if out := rig.Node(t, time.Minute, script, base+"/strict", jwt); out != "refused expired\n" {
		t.Errorf("afterwards: %q", out)
	}
}

// A token that is taken back ends its sockets on every replica, and lets none in.
func TestNamespaces_RevokedTokensEndTheirSocketsOnEveryReplica(t *testing.T) {
	t.Parallel()
	redis, _ := rig.Redis(t)
	env := []string{"POSTHOUSE_CONFIG=" + namespaceFile(t, ""), "POSTHOUSE_REDIS_URL=redis://" + redis}
	first, _ := rig.Gateway(t, env...)
	second, _ := rig.Gateway(t, env...)
	jwt, _ := signIn(t, first, "alice")
	dir := rig.NodeDir(t)
	socket := rig.Start(t, []string{"NODE_PATH=" + filepath.Join(dir, "node_modules")}, "node", filepath.Join("testdata", "ended.cjs"), second+"/app", jwt)
	rig.Until(t, 20*time.Second, "the socket to be connected", func() bool { return strings.Contains(socket.Output(), "connected\n") })
	began := time.Now()
	act(t, first, "unfollow", `{"person":"alice"}`)
	rig.Until(t, 20*time.Second, "the socket to end", func() bool { return strings.Contains(socket.Output(), "disconnected: io server disconnect") })
	t.Logf("ended after %v", time.Since(began))
	if out := rig.Node(t, time.Minute, filepath.Join("testdata", "ended.cjs"), second+"/app", jwt); out != "refused unauthorized\n" {
		t.Errorf("afterwards: %q", out)
	}
}
