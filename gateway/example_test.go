package gateway_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"posthouse/gateway"
)

// The binary does no more: settings from flags and environment, then New and Run.
func Example() {
	var cfg gateway.Config
	flags, err := kong.New(&cfg)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := flags.Parse([]string{"--addr=127.0.0.1:0", "--log-level=error"}); err != nil {
		log.Fatal(err)
	}
	cfg.Reread = func() *gateway.Settings { return gateway.ReadSettings(os.Args[1:], os.Environ(), nil) } // on SIGHUP
	var app *gateway.App
	if app, err = gateway.New(cfg); err != nil {
		log.Fatal(err) // names the setting and the fix
	}
	ctx, stop := context.WithCancel(context.Background()) // signal.NotifyContext in a program
	done := make(chan error)
	go func() { done <- app.Run(ctx) }()

	response, err := http.Get("http://" + app.Addr().String() + "/readyz")
	if err != nil {
		log.Fatal(err)
	}
	response.Body.Close()
	fmt.Println(response.Status)
	http.DefaultClient.CloseIdleConnections()

	stop()
	fmt.Println(<-done)
	// Output:
	// 200 OK
	// <nil>
}

func ExampleConfig() {
	cfg := gateway.Config{Addr: "3000", SocketIOPath: "/ws", Origins: []string{"https://www.example.com/shop"}, JWTTTL: 60e9, TicketTTL: 300e9}
	fmt.Println(cfg.Normalize())
	// Output:
	// config: POSTHOUSE_ADDR = "3000" is not usable: write host:port or :port, such as :3000, or unix:/path
	// config: POSTHOUSE_ORIGINS = "https://www.example.com/shop" is not usable: write scheme://host[:port] without a path, such as https://www.example.com; * is not allowed since credentials are
}

func ExampleReadSettings() {
	environ := []string{"POSTHOUSE_LOG_LEVEL=loud", "POSTHOUSE_DRIAN=5s"}
	settings := gateway.ReadSettings([]string{"--addr=3000"}, environ, nil)
	for _, line := range settings.Problems() {
		fmt.Println(line)
	}
	// Output:
	// POSTHOUSE_DRIAN: is unknown; did you mean "POSTHOUSE_DRAIN"?
	// POSTHOUSE_LOG_LEVEL: "loud" is not usable; use debug, info, warn, error
	// --addr: "3000" is not usable; write host:port or :port, such as :3000, or unix:/path
}

func ExampleSettings_Show() {
	environ := []string{"POSTHOUSE_REDIS_URL=redis://posthouse:secret@redis:6379"}
	var all strings.Builder
	if err := gateway.ReadSettings(nil, environ, nil).Show(&all); err != nil {
		log.Fatal(err)
	}
	for line := range strings.Lines(all.String()) {
		if strings.HasPrefix(line, "redis-url") {
			fmt.Println(strings.Join(strings.Fields(line), " "))
		}
	}
	// Output: redis-url redis://posthouse:***@redis:6379 env
}

func ExampleSettingsDoc() {
	var table strings.Builder
	if err := gateway.SettingsDoc(&table, true); err != nil {
		log.Fatal(err)
	}
	for line := range strings.Lines(table.String()) {
		if strings.Contains(line, "--addr") {
			fmt.Print(line)
			break
		}
	}
	// Output: | `POSTHOUSE_ADDR` | `--addr` | text | `:3000` | Listen address: host:port, or unix:/path for a Unix socket, whose peers count as 127.0.0.1. PORT alone sets its port; a socket of systemd wins. |
}

func ExampleAccount() {
	account := gateway.Account{
		Name:   "shop", // its webhook is /callback/wechat/shop
		AppID:  "wx1a2b3c4d5e6f7081",
		Secret: "from a file, not from the source", Token: "simTokenForGateway2026",
		AESKey: "kX7mQ2vB9sT4wZ1nL6pR8cY3fJ5hD0gA2eU7iO4xN9b",
	}
	cfg := gateway.Config{Accounts: []gateway.Account{account}}
	fmt.Println(cfg.Accounts[0].Secret, len(cfg.Accounts))
	// Output: *** 1
}

func ExampleSecret() {
	var key gateway.Secret = "hs256:AAAA"
	fmt.Printf("%v %q %d\n", key, key, key)
	// Output: *** *** ***
}

func ExampleRate() {
	var rate gateway.Rate
	var count gateway.Count
	var life gateway.Duration
	fmt.Println(rate.UnmarshalText([]byte("6/m")), rate.N, rate.Per)
	fmt.Println(count.UnmarshalText([]byte("off")), count.Off)
	fmt.Println(life.UnmarshalText([]byte("300")), life)
	var share gateway.Percent
	fmt.Println(share.UnmarshalText([]byte("85%")), share.N)
	var proxies gateway.Networks
	fmt.Println(proxies.UnmarshalText([]byte("10.0.0.0/8, 127.0.0.1")), proxies)
	fmt.Println(rate.UnmarshalText([]byte("many")))
	// Output:
	// <nil> 6 1m0s
	// <nil> true
	// <nil> 5m0s
	// <nil> 85
	// <nil> [10.0.0.0/8 127.0.0.1/32]
	// "many" is not a rate such as 10/s, 6/m or off
}

func ExampleCheckEnvironment() {
	known := []string{"POSTHOUSE_ADDR", "POSTHOUSE_REDIS_URL"} // those of the flags
	fmt.Println(gateway.CheckEnvironment([]string{"POSTHOUSE_REDIS_ULR=redis://127.0.0.1"}, known))
	// Output: config: environment variable "POSTHOUSE_REDIS_ULR" is unknown; did you mean "POSTHOUSE_REDIS_URL"?
}

func ExampleConfigFile() {
	file, err := os.CreateTemp("", "*.yaml")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(file.Name())
	io.WriteString(file, "origins: [https://www.example.com]\nticket-ttl: 2m\n")
	file.Close()

	var cfg gateway.Config
	flags := kong.Must(&cfg)
	_, err = flags.Parse([]string{"--config=" + file.Name(), "--ticket-ttl=4m"}) // flags win
	fmt.Println(cfg.Origins, cfg.TicketTTL, cfg.File == gateway.ConfigFile(file.Name()), err)
	// Output: [https://www.example.com] 4m0s true <nil>
}

func ExampleNewLogger() {
	logger := gateway.NewLogger(os.Stdout, "warn", "json")
	logger.Info("not shown")
	// Output:
}

func ExampleNamespace() {
	app := gateway.Namespace{
		Name: "/app", // for the tokens of the gateway's own login
		JWT: &gateway.NamespaceJWT{
			Issuer: "https://id.example.com", Audience: "app", JWKS: "https://id.example.com/.well-known/jwks.json",
		},
		Rooms: []string{"user:{sub}"}, Join: []string{"topic:*"}, Relay: []string{"typing"},
		Hook:     &gateway.NamespaceHook{URL: "http://127.0.0.1:8080/socketio", SecretFile: "hook.key"},
		Limits:   &gateway.NamespaceLimits{Events: "50/s"},
		Presence: []string{"topic:*"},
		History:  &gateway.NamespaceHistory{Rooms: []string{"topic:*"}, Events: 100, Age: "24h"},
	}
	cfg := gateway.Config{Namespaces: []gateway.Namespace{app}} // from the configuration file
	fmt.Println(cfg.Namespaces[0].Name)
	// Output: /app
}

func ExampleClient() {
	grafana := gateway.Client{
		ID: "grafana", SecretFile: "grafana.secret", Name: "Grafana",
		RedirectURIs:       []string{"https://grafana.example.com/login/generic_oauth"},
		LogoutRedirectURIs: []string{"https://grafana.example.com/"},
		Scopes:             []string{"openid", "profile"},
	}
	cfg := gateway.Config{ // the clients and the session come from the configuration file
		Issuer: "https://login.example.com", Clients: []gateway.Client{grafana}, Session: gateway.Session{Age: "8h"},
	}
	fmt.Println(cfg.Issuer, cfg.Clients[0].ID, cfg.Session.Age)
	// Output: https://login.example.com grafana 8h
}

func ExampleCompat() {
	compat := gateway.Compat{WeChatServer: &gateway.CompatWeChatServer{TokenFile: "wechat-server.token", Words: []string{"验证码"}, Age: "3m"}}
	cfg := gateway.Config{Compat: compat} // from the configuration file
	fmt.Println(cfg.Compat.WeChatServer.Words)
	// Output: [验证码]
}

func ExampleLoginHook() {
	cfg := gateway.Config{LoginHook: &gateway.LoginHook{URL: "http://127.0.0.1:8080/logins", SecretFile: "login-hook.key"}} // from the configuration file
	fmt.Println(cfg.LoginHook.URL)
	// Output: http://127.0.0.1:8080/logins
}
