package gateway

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// namespaceProblems is what config check says of a file with these namespaces.
func namespaceProblems(t *testing.T, namespaces string) (problems []string, file string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"posthouse.yaml": "namespaces:\n" + namespaces,
		"hook.key":       "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
		"short.key":      "whsec_c2hvcnQ=\n",
		"jwt.key":        "hs256:" + strings.Repeat("A", 43) + "=\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file = filepath.Join(dir, "posthouse.yaml")
	return ReadSettings([]string{"--config=" + file}, nil, nil).Problems(), file
}

func TestConfig_Namespaces_RightOnesAreTaken(t *testing.T) {
	problems, _ := namespaceProblems(t, `  /app:
  /team/*:
    auth: jwt
    jwt: {issuer: "https://id.example.com", audience: app, jwks: "https://id.example.com/jwks.json", clock-skew: 0s}
    rooms: ["user:{sub}"]
    join: ["doc:{sub}:*"]
    relay: [typing]
    limits: {events: 50/s, rooms: 256}
  /local:
    jwt: {issuer: me, audience: you, jwks: "http://127.0.0.1:8080/jwks.json"}
  /file:
    jwt: {issuer: me, audience: you, key-file: jwt.key}
    hook: {url: "http://127.0.0.1:8080/hook", secret-file: hook.key, events: [say], timeout: 2s, fail: open, headers: [x-tenant], concurrency: 8, retries: 2}
  /hooked:
    auth: hook
    hook: {url: "https://back.example.com/hook", secret-file: hook.key}
  /free:
    auth: open
    rooms: [everyone]
    limits: {rooms: 10000}
    recovery: 2m
  /bare:
    auth:
    jwt:
    rooms:
    hook:
    history:
    limits:
`)
	if len(problems) > 0 {
		t.Errorf("%q", problems)
	}
}

// Every mistake is told with its line, its key and the fix, all at once.
func TestConfig_Namespaces_MistakesAreNamed(t *testing.T) {
	for yaml, want := range map[string]string{
		"  app:\n":                                            `2: namespaces.app: "app" is not usable; write a path`,
		"  /login:\n    auth: open\n":                         `2: namespaces./login: "/login" is not usable; it belongs to the gateway`,
		"  /admin:\n":                                         `2: namespaces./admin: "/admin" is not usable; it belongs to the gateway`,
		"  /app:\n  /app2:\n    auth: basic\n":                `4: namespaces./app2.auth: "basic" is not usable`,
		"  /app:\n    \"-\": x\n":                             `3: namespaces./app.-: is unknown`,
		"  /a*:\n":                                            `2: namespaces./a*: "/a*" is not usable; write a path`,
		"  /app:\n    authh: jwt\n":                           `3: namespaces./app.authh: is unknown; did you mean "auth"?`,
		"  /app:\n    jwt:\n      isuer: x\n":                 `4: namespaces./app.jwt.isuer: is unknown; did you mean "jwt.issuer"?`,
		"  /app:\n    auth: basic\n":                          `3: namespaces./app.auth: "basic" is not usable; use jwt, open or hook`,
		"  /app:\n    auth: open\n    rooms: [\"u:{sub}\"]\n": `3: namespaces./app.auth: "open" is not usable; clients without a token`,
		"  /app:\n    auth: hook\n    rooms: [\"r:{role}\"]\n    hook: {url: \"http://x/\", secret-file: hook.key}\n": `3: namespaces./app.auth: "hook" is not usable; the back end names the user`,
		"  /app:\n    auth: open\n    join: [\"doc:{sub}:*\"]\n":                                                      `3: namespaces./app.auth: "open" is not usable; clients without a token`,
		"  /app:\n    auth: hook\n    join: [\"r:{role}\"]\n    hook: {url: \"http://x/\", secret-file: hook.key}\n":  `3: namespaces./app.auth: "hook" is not usable; the back end names the user`,
		"  /app:\n    jwt: {issuer: a, audience: b, key-file: jwt.key, clock-skew: soon}\n":                           `3: namespaces./app.jwt.clock-skew: "soon" is not usable; `,
		"  /app:\n    auth: hook\n": `2: namespaces./app.hook.events: is missing; auth: hook asks`,
		"  /app:\n    auth: hook\n    hook: {url: \"http://x/\", secret-file: hook.key, events: [say]}\n":      `4: namespaces./app.hook.events: is missing; auth: hook asks`,
		"  /app:\n    auth: open\n    jwt: {issuer: a, audience: b, key-file: jwt.key}\n":                      `4: namespaces./app.jwt: "…" is not usable; it needs auth: jwt`,
		"  /app:\n    jwt: {issuer: a, key-file: jwt.key}\n":                                                   `3: namespaces./app.jwt.audience: is missing; name the claim aud`,
		"  /app:\n    jwt: {audience: a, key-file: jwt.key}\n":                                                 `3: namespaces./app.jwt.issuer: is missing; name the claim iss`,
		"  /app:\n    jwt: {issuer: a, audience: b}\n":                                                         `3: namespaces./app.jwt.jwks: is missing; name either`,
		"  /app:\n    jwt:\n      issuer: a\n      audience: b\n      jwks: http://id.example.com/\n":          `6: namespaces./app.jwt.jwks: "http://id.example.com/" is not usable; write an https URL`,
		"  /app:\n    jwt: {issuer: a, audience: b, key-file: none.key}\n":                                     `3: namespaces./app.jwt.key-file: "none.key" is not usable; `,
		"  /app:\n    jwt: {issuer: a, audience: b, key-file: hook.key}\n":                                     `3: namespaces./app.jwt.key-file: "hook.key" is not usable; `,
		"  /app:\n    jwt: {issuer: a, audience: b, key-file: jwt.key, clock-skew: 1h}\n":                      `3: namespaces./app.jwt.clock-skew: "1h" is not usable; `,
		"  /app:\n    rooms: [\"user:{sub\"]\n":                                                                `3: namespaces./app.rooms: is not usable; `,
		"  /app:\n    recovery: 2h\n":                                                                          `3: namespaces./app.recovery: "2h" is not usable; write how long`,
		"  /app:\n    recovery: 5ms\n":                                                                         `3: namespaces./app.recovery: "5ms" is not usable; write how long`,
		"  /app:\n    recovery: {a: b}\n":                                                                      `3: namespaces./app.recovery: is not usable; `,
		"  /app:\n    limits: {events: many}\n":                                                                `3: namespaces./app.limits.events: "many" is not usable; write a rate`,
		"  /app:\n    limits: {rooms: -1}\n":                                                                   `3: namespaces./app.limits.rooms: "-1" is not usable; `,
		"  /app:\n    hook: {url: \"ftp://x/\", secret-file: hook.key}\n":                                      `3: namespaces./app.hook.url: "ftp://x/" is not usable; `,
		"  /app:\n    hook: {url: \"ftp://me:c2hvcnQ@x/\", secret-file: hook.key}\n":                           `3: namespaces./app.hook.url: "ftp://me:***@x/" is not usable; `,
		"  /app:\n    hook: {url: \"http://me:c2hvcnQ %zz@x/\", secret-file: hook.key}\n":                      `3: namespaces./app.hook.url: "…" is not usable; `,
		"  /app:\n    hook: {url: \"ftp://me:x@c2hvcnQ@x/\", secret-file: hook.key}\n":                         `3: namespaces./app.hook.url: "ftp://me:***@x/" is not usable; `,
		"  /app:\n    hook: {secret-file: hook.key}\n":                                                         `3: namespaces./app.hook.url: is missing; `,
		"  /app:\n    jwt: {issuer: a, audience: b, jwks: \"https://me:c2hvcnQ@x/\"}\n":                        `3: namespaces./app.jwt.jwks: "https://me:***@x/" is not usable; `,
		"  /app:\n    hook: {url: \"http:///x\", secret-file: hook.key}\n":                                     `3: namespaces./app.hook.url: "http:///x" is not usable; `,
		"  /app:\n    hook: {url: \"http://x/\", secret-file: none.key}\n":                                     `3: namespaces./app.hook.secret-file: "none.key" is not usable; open `,
		"  /app:\n    hook: {url: \"http://x/\"}\n":                                                            `3: namespaces./app.hook.secret-file: is missing; `,
		"  /app:\n    hook: {url: \"http://x/\", secret-file: short.key}\n":                                    `3: namespaces./app.hook.secret-file: "short.key" is not usable; hook: unsuitable secret: line 1`,
		"  /app:\n    hook: {url: \"http://x/\", secret-file: hook.key, timeout: 0}\n":                         `3: namespaces./app.hook.timeout: "0" is not usable; `,
		"  /app:\n    hook: {url: \"http://x/\", secret-file: hook.key, fail: maybe}\n":                        `3: namespaces./app.hook.fail: "maybe" is not usable; use closed or open`,
		"  /app:\n    hook: {url: \"http://x/\", secret-file: hook.key, retries: 6}\n":                         `3: namespaces./app.hook.retries: "6" is not usable; use 0 to 5`,
		"  /app:\n    hook: {url: \"http://x/\", secret-file: hook.key, headers: [x-tenant, Authorization]}\n": `3: namespaces./app.hook.headers: "authorization" is not usable; with auth: jwt this header is the token`,
		"  /app:\n    hook: {url: \"http://x/\", secret-file: hook.key, retries: -1}\n":                        `3: namespaces./app.hook.retries: "-1" is not usable; use 0 to 5`,
		"  /app:\n    hook: {url: \"http://x/\", secret-file: hook.key, timeout: 61s}\n":                       `3: namespaces./app.hook.timeout: "61s" is not usable; `,
		"  /app:\n    hook: {url: \"http://x/\", secret-file: hook.key, concurrency: 10001}\n":                 `3: namespaces./app.hook.concurrency: "10001" is not usable; use 1 to 10000`,
		"  /app:\n    hook: {url: \"http://x/\", secret-file: hook.key, concurrency: -1}\n":                    `3: namespaces./app.hook.concurrency: "-1" is not usable; use 1 to 10000`,
		"  /app:\n    presence: [\"topic:{sub}\"]\n":                                                           `3: namespaces./app.presence: is not usable; access: room "topic:{sub}": a claim cannot stand here`,
		"  /app:\n    history: {events: 10, age: 24h}\n":                                                       `3: namespaces./app.history.rooms: is missing; name the rooms`,
		"  /app:\n    history: {rooms: [\"topic:*\"], events: 1001}\n":                                         `3: namespaces./app.history.events: "1001" is not usable; write a number from 1 to 1000`,
		"  /app:\n    history: {rooms: [\"topic:*\"], age: 1ms}\n":                                             `3: namespaces./app.history.age: "1ms" is not usable; write a time`,
		"  /app:\n    history: {rooms: [\"{\"]}\n":                                                             `3: namespaces./app.history.rooms: is not usable; access: room "{"`,
		"  /app:\n    rooms: everyone\n":                                                                       `3: namespaces./app.rooms: is not usable; write a list`,
		"  /app:\n    limits:\n      rooms: many\n":                                                            `4: namespaces./app.limits.rooms: is not usable; write a whole number`,
		"  /app:\n    limits: {rooms: 10001}\n":                                                                `3: namespaces./app.limits.rooms: "10001" is not usable; write a number from 1 to 10000`,
		"  /app:\n    limits: {rooms: 1}\n    rooms: [a, b]\n":                                                 `4: namespaces./app.rooms: is not usable; access: 2 Rooms are more than MaxRooms, 1`,
		"  /app:\n    jwt: yes\n":                                                                              `3: namespaces./app.jwt: is not usable; write keys`,
		"  /app: [jwt]\n":                                                                                      `2: namespaces./app: is not usable; write keys`,
		"  /t/{a}/{a}:\n":                                                                                      `2: namespaces./t/{a}/{a}: "/t/{a}/{a}" is not usable; a parameter occurs twice`,
		"  /t/*:\n  /t/{id}:\n":                                                                                `3: namespaces./t/{id}: "/t/{id}" is not usable; it matches the same names as /t/*`,
		"  /t/{a}/{b}/{a}:\n":                                                                                  `2: namespaces./t/{a}/{b}/{a}: "/t/{a}/{b}/{a}" is not usable; a parameter occurs twice`,
		"  - /app\n":                                                                                           `POSTHOUSE_CONFIG`,
	} {
		problems, file := namespaceProblems(t, yaml)
		if !slices.ContainsFunc(problems, func(line string) bool {
			return strings.HasPrefix(line, file+":"+want) || strings.Contains(line, want) && strings.HasPrefix(want, "POSTHOUSE") || strings.HasPrefix(line, "--config") && strings.HasPrefix(want, "POSTHOUSE")
		}) {
			t.Errorf("%s: no line %q in %q", yaml, want, problems)
		}
		for _, line := range problems {
			if strings.Contains(line, "c2hvcnQ") || strings.Contains(line, "MfKQ9r8") {
				t.Errorf("%s: a secret is told: %s", yaml, line)
			}
		}
	}
}

// One kind of mistake hides no other, in the same namespace neither, and each has its
// line to itself.
func TestConfig_Namespaces_AllMistakesAreTold(t *testing.T) {
	problems, file := namespaceProblems(t, `  /app:
    authh: jwt
    rooms: everyone
    limits: {events: many}
    history: {events: 10}
  /bpp:
    join: ["{"]
`)
	var keys []string
	for _, line := range problems {
		key, _, _ := strings.Cut(strings.TrimPrefix(line, file+":"), ": ")
		_, rest, _ := strings.Cut(line, ": namespaces.")
		name, _, _ := strings.Cut(rest, ": ")
		keys = append(keys, key+" "+name)
		if strings.Contains(line, "\n") {
			t.Errorf("more than a line: %q", line)
		}
	}
	slices.Sort(keys)
	want := []string{"3 /app.authh", "4 /app.rooms", "5 /app.limits.events", "6 /app.history.rooms", "8 /bpp.join"}
	if !slices.Equal(keys, want) {
		t.Errorf("%q, want %q", keys, want)
	}
}

// ReadSettings and New both complete the settings: no account and no namespace is there twice.
func TestConfig_Normalize_TwiceIsOnce(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "posthouse.yaml")
	text := "accounts:\n  - {name: shop, appid: wx1, secret: s, token: token, mode: plain}\nnamespaces:\n  /app: {auth: open}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := ReadSettings([]string{"--config=" + file},
		[]string{"POSTHOUSE_WECHAT_APPID=wx2", "POSTHOUSE_WECHAT_SECRET=s", "POSTHOUSE_WECHAT_TOKEN=token", "POSTHOUSE_WECHAT_MODE=plain"}, nil)
	for range 2 {
		if len(s.Config.Accounts) != 2 || len(s.Config.Namespaces) != 1 {
			t.Errorf("%d accounts, %d namespaces", len(s.Config.Accounts), len(s.Config.Namespaces))
		}
		if err := s.Config.Normalize(); err != nil {
			t.Fatal(err)
		}
	}
}
