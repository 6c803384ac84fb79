package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOIDC_Config_RefusesToStart(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("client.secret", clientSecret)
	write("empty", "\n")
	const one = "clients:\n  - id: a\n    secret-file: client.secret\n    redirect-uris: [https://a.example.com/cb]\n"
	for name, c := range map[string]struct {
		yaml string
		args []string
		want string
	}{
		"no issuer":                    {one, nil, "POSTHOUSE_ISSUER"},
		"http issuer":                  {one, []string{"--issuer=http://login.example.com"}, "use https"},
		"issuer with a path":           {one, []string{"--issuer=https://login.example.com/x"}, "without a path"},
		"http in production":           {one, []string{"--issuer=http://127.0.0.1:1", "--env=production"}, "use https"},
		"no RSA key":                   {one, []string{"--issuer=https://a.example", "--env=production"}, "POSTHOUSE_OIDC_KEY_FILE"},
		"no key file":                  {one, []string{"--issuer=https://a.example", "--oidc-key-file=/nowhere"}, "no such file"},
		"key file is junk":             {one, []string{"--issuer=https://a.example", "--oidc-key-file=" + write("junk", "junk")}, "PKCS#8"},
		"unknown key":                  {one + "    redirect-uri: x\n", []string{"--issuer=https://a.example"}, `posthouse.yaml:5: clients.a.redirect-uri: is unknown; did you mean "redirect-uris"?`},
		"redirect with #":              {strings.Replace(one, "/cb", "/cb#x", 1), []string{"--issuer=https://a.example"}, "posthouse.yaml:4: clients.a.redirect-uris"},
		"redirect wildcard":            {strings.Replace(one, "/cb", "/*", 1), []string{"--issuer=https://a.example"}, "without fragment, user name and wildcards"},
		"no redirects":                 {"clients:\n  - id: a\n", []string{"--issuer=https://a.example"}, "clients.a.redirect-uris"},
		"no id":                        {"clients:\n  - name: a\n    redirect-uris: [https://a.example.com/cb]\n", []string{"--issuer=https://a.example"}, "clients.0.id"},
		"twice":                        {one + strings.TrimPrefix(one, "clients:\n"), []string{"--issuer=https://a.example"}, "its own id"},
		"unknown scope":                {one + "    scopes: [openid, email]\n", []string{"--issuer=https://a.example"}, "use openid, profile, wechat, offline_access"},
		"no openid":                    {one + "    scopes: [profile]\n", []string{"--issuer=https://a.example"}, "add openid"},
		"unknown account":              {one + "    account: shop\n", []string{"--issuer=https://a.example"}, "posthouse.yaml:5: clients.a.account"},
		"unknown algorithm":            {one + "    id-token-signed-response-alg: HS256\n", []string{"--issuer=https://a.example"}, "use RS256, ES256 or EdDSA"},
		"ES256 without a key":          {one + "    id-token-signed-response-alg: ES256\n", []string{"--issuer=https://a.example"}, "EC P-256"},
		"empty secret":                 {strings.Replace(one, "client.secret", "empty", 1), []string{"--issuer=https://a.example"}, "clients.a.secret-file"},
		"reserved claim":               {one + "    claims: {sub: x}\n", []string{"--issuer=https://a.example"}, "clients.a.claims"},
		"clients is a map":             {"clients: {a: b}\n", []string{"--issuer=https://a.example"}, "clients is a list"},
		"session age":                  {one + "session: {age: forever}\n", []string{"--issuer=https://a.example"}, "posthouse.yaml:5: session.age"},
		"compat without a token":       {"compat: {wechat-server: {words: [x]}}\n", nil, "posthouse.yaml:1: compat.wechat-server.token-file"},
		"compat key":                   {"compat: {wechatserver: {}}\n", nil, `did you mean "wechat-server"?`},
		"compat age":                   {"compat: {wechat-server: {token-file: client.secret, age: 1s}}\n", nil, "compat.wechat-server.age"},
		"compat account":               {"compat: {wechat-server: {token-file: client.secret, account: shop}}\n", nil, "compat.wechat-server.account"},
		"login-hook without a secret":  {"login-hook: {url: \"http://127.0.0.1:1\"}\n", nil, "posthouse.yaml:1: login-hook.secret-file"},
		"login-hook of another scheme": {"login-hook: {url: \"ftp://me:c2hvcnQ@x\", secret-file: client.secret}\n", nil, "login-hook.url: \"ftp://me:***@x\" is not usable"},
		"login-hook without a URL":     {"login-hook: {secret-file: client.secret}\n", nil, "login-hook.url"},
		"session key":                  {one + "session: {ages: 1h}\n", []string{"--issuer=https://a.example"}, `did you mean "age"?`},
	} {
		t.Run(name, func(t *testing.T) {
			file := write("posthouse.yaml", c.yaml)
			problems := strings.Join(ReadSettings(append([]string{"--config=" + file}, c.args...), nil, nil).Problems(), "\n")
			if !strings.Contains(problems, c.want) {
				t.Errorf("problems:\n%s\nwant %s", problems, c.want)
			}
		})
	}
	file := write("posthouse.yaml", one+"session: {age: 0}\n")
	if problems := ReadSettings([]string{"--config=" + file, "--issuer=https://login.example.com/"}, nil, nil).Problems(); len(problems) > 0 {
		t.Errorf("a good file: %v", problems)
	}
}
