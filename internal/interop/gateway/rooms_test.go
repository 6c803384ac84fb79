package gateway_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"posthouse/internal/testenv"
)

// Two replicas, npm clients and a back end: what was said before a page was opened, who is
// there, and that the users of a killed replica are gone.
func TestNamespaces_PresenceAndHistoryOverReplicas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const key = "the-key-of-the-back-end"
	write("jwt.key", "hs256:"+strings.Repeat("A", 43)+"=\n")
	file := write("posthouse.yaml", `namespaces:
  /app:
    jwt: {issuer: me, audience: app, key-file: jwt.key}
    join: ["topic:*"]
    presence: ["topic:*"]
    history: {rooms: ["topic:*"], events: 50, age: 1h}
`)
	user := func(sub string) string {
		token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "me", "aud": "app", "sub": sub, "exp": time.Now().Add(time.Hour).Unix()})
		text, err := token.SignedString(make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	redis, _ := testenv.Redis(t)
	env := []string{"POSTHOUSE_CONFIG=" + file, "POSTHOUSE_REDIS_URL=redis://" + redis, "POSTHOUSE_API_KEY=" + key}
	first, _ := testenv.Gateway(t, env...)
	second, replica := testenv.Gateway(t, env...)
	ask := func(base, method, path, body string) answer {
		t.Helper()
		return call(t, method, base+"/api/"+path, body, "Authorization: Bearer "+key, "Content-Type: application/json")
	}
	emit := func(base, arg string) {
		t.Helper()
		if a := ask(base, "POST", "emit", `{"namespace":"/app","to":["topic:1"],"event":"news","args":[`+arg+`]}`); a.StatusCode != 200 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	modules := filepath.Join(testenv.NodeDir(t), "node_modules")
	join := func(base, sub string) *testenv.Process {
		return testenv.Start(t, []string{"NODE_PATH=" + modules}, "node", filepath.Join("testdata", "room.cjs"), base+"/app", user(sub))
	}
	// A namespace is on a replica from its start: the events of the other one are there.
	emit(first, `"before"`)
	emit(second, `{"$binary":"AQI="}`)
	ada := join(first, "ada")
	gets(t, ada, `joined [["before"],[{"type":"Buffer","data":[1,2]}]] ada false`)
	gets(t, ada, `page [[{"type":"Buffer","data":[1,2]}]] true`)
	emit(second, `"live"`)
	gets(t, ada, `news ["live"]`)
	bo := join(second, "bo")
	gets(t, bo, `joined [["before"],[{"type":"Buffer","data":[1,2]}],["live"]] ada,bo false`)
	gets(t, ada, `presence [{"room":"topic:1","joined":["bo"],"left":[]}]`)

	const query = "?namespace=/app&room=topic:1"
	if a := ask(first, "GET", "presence"+query, ""); a.StatusCode != 200 || !strings.Contains(a.body, `"user":"ada"`) || !strings.Contains(a.body, `"user":"bo"`) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := ask(second, "GET", "history"+query+"&limit=2", ""); a.StatusCode != 200 || !strings.Contains(a.body, `{"$binary":"AQI="}`) || !strings.Contains(a.body, `"more":true`) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	replica.Kill()
	gets(t, ada, `presence [{"room":"topic:1","joined":[],"left":["bo"]}]`)
}
