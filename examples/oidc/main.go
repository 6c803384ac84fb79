// Oidc is a page that only people who signed in by scanning can see. Nothing of it knows of
// WeChat or of Posthouse: nginx asks oauth2-proxy, and oauth2-proxy knows an issuer, a
// client id and a secret. Read posthouse.yaml and nginx.conf.
//
//	go run ./examples/oidc
//
// It needs nginx, and builds oauth2-proxy once (OAUTH2_PROXY names one that is there). PORT
// is where the page is (8000); the gateway, with a local WeChat, listens at GATEWAY_PORT
// (3000).
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"posthouse/gateway"
)

// proxyModule is what go install builds. It is a program of its own and no dependency.
const proxyModule = "github.com/oauth2-proxy/oauth2-proxy/v7@v7.15.6"

//go:embed posthouse.yaml nginx.conf page
var files embed.FS

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	e := &example{pagePort: cmp.Or(os.Getenv("PORT"), "8000"), gatewayPort: cmp.Or(os.Getenv("GATEWAY_PORT"), "3000"), out: os.Stdout}
	if err := e.run(ctx); err != nil {
		log.Fatal(err)
	}
}

// example is the gateway, oauth2-proxy and nginx.
type example struct {
	pagePort, gatewayPort, proxyPort string
	out                              io.Writer
}

func (e *example) pageURL() string { return "http://127.0.0.1:" + e.pagePort }
func (e *example) issuer() string  { return "http://127.0.0.1:" + e.gatewayPort }

// run runs all three until ctx ends or one of them does.
func (e *example) run(ctx context.Context) (err error) {
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		return errors.New("oidc: install nginx")
	}
	proxy, err := findProxy(ctx)
	if err != nil {
		return err
	}
	if e.proxyPort, err = freePort(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "oidc")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := e.writeFiles(dir); err != nil {
		return err
	}
	settings := gateway.ReadSettings([]string{
		"--addr=127.0.0.1:" + e.gatewayPort, "--issuer=" + e.issuer(), "--config=" + filepath.Join(dir, "posthouse.yaml"), "--log-level=warn",
	}, nil, nil)
	posthouse, err := gateway.New(settings.Config)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 3)
	go func() { ended <- posthouse.Run(ctx) }() // ends with stop
	running := 1
	// oauth2-proxy reads the discovery document when it starts: the gateway listens already.
	for _, argv := range [][]string{e.proxyArguments(proxy, dir), {nginx, "-c", filepath.Join(dir, "nginx.conf"), "-p", dir}} {
		command := exec.CommandContext(ctx, argv[0], argv[1:]...)
		command.Stderr = os.Stderr
		command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
		command.WaitDelay = 5 * time.Second
		if err = command.Start(); err != nil {
			break
		}
		running++
		go func() { ended <- command.Wait() }() // ends with stop
	}
	if err == nil {
		fmt.Fprintf(e.out, "page:   %s\nphone:  %s/sim\n", e.pageURL(), e.issuer())
		select {
		case <-ctx.Done():
		case err = <-ended:
			running--
			err = errors.Join(errors.New("oidc: a program has ended"), err)
		}
	}
	stop()
	for range running {
		slog.Debug("oidc: a program has ended", "error", <-ended) // as it was told
	}
	return err
}

func (e *example) proxyArguments(proxy, dir string) []string {
	return []string{
		proxy, "--provider=oidc", "--oidc-issuer-url=" + e.issuer(), "--client-id=proxy", "--client-secret-file=" + filepath.Join(dir, "proxy.secret"),
		"--redirect-url=" + e.pageURL() + "/oauth2/callback", "--scope=openid profile", "--code-challenge-method=S256",
		"--oidc-email-claim=sub", "--insecure-oidc-allow-unverified-email=true", "--email-domain=*", "--insecure-oidc-skip-nonce=false",
		"--skip-provider-button=true", "--set-xauthrequest=true", "--reverse-proxy=true", "--upstream=static://202",
		"--cookie-secret=" + base64.RawURLEncoding.EncodeToString(randomBytes()), "--cookie-secure=false", // plain HTTP, on this machine alone
		"--http-address=127.0.0.1:" + e.proxyPort, "--request-logging=false", "--auth-logging=false", "--standard-logging=false",
	}
}

// findProxy returns oauth2-proxy: the one of OAUTH2_PROXY, or one that is built once.
func findProxy(ctx context.Context) (string, error) {
	if path := os.Getenv("OAUTH2_PROXY"); path != "" {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	_, version, _ := strings.Cut(proxyModule, "@")
	dir := filepath.Join(cache, "posthouse", "oauth2-proxy-"+version)
	path := filepath.Join(dir, "oauth2-proxy")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintln(os.Stderr, "oidc: building oauth2-proxy, once")
	build := exec.CommandContext(ctx, "go", "install", proxyModule)
	build.Dir = os.TempDir() // of no module
	build.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("oidc: go install %s: %w", proxyModule, err)
	}
	return path, nil
}

// writeFiles writes the configurations, the page and a new client secret.
func (e *example) writeFiles(dir string) error {
	fill := strings.NewReplacer("{{page}}", e.pageURL(), "{{dir}}", dir, "{{port}}", e.pagePort, "{{proxyPort}}", e.proxyPort)
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, path), 0o755) //nolint:gosec // nginx's workers read the page
		}
		text, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, path), []byte(fill.Replace(string(text))), 0o644) //nolint:gosec // likewise
	})
	secret := base64.RawURLEncoding.EncodeToString(randomBytes())
	return errors.Join(err, os.Chmod(dir, 0o711), os.WriteFile(filepath.Join(dir, "proxy.secret"), []byte(secret), 0o600)) //nolint:gosec // likewise
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

func randomBytes() []byte {
	b := make([]byte, 24)
	rand.Read(b) // never fails
	return b
}
