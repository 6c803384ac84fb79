// App is a small product: people sign in by scanning a code with WeChat, and then share
// a board of notes, live. Its back end is a Python program of a hundred lines that serves
// the page, answers the gateway's signed requests and speaks to the people through the
// gateway's API; no line of it knows of connections. Read backend.py and board.yaml.
//
//	go run ./examples/app
//
// It needs python3. PORT is where the page is (8000); the gateway, with a local WeChat,
// listens at GATEWAY_PORT (3000).
package main

import (
	"bytes"
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
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"posthouse/gateway"
)

//go:embed backend.py board.yaml page
var files embed.FS

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{pagePort: cmp.Or(os.Getenv("PORT"), "8000"), gatewayPort: cmp.Or(os.Getenv("GATEWAY_PORT"), "3000"), out: os.Stdout}
	if err := a.run(ctx); err != nil {
		log.Fatal(err)
	}
}

// app is the gateway and the back end behind it.
type app struct {
	pagePort, gatewayPort string
	out                   io.Writer
}

func (a *app) pageURL() string    { return "http://localhost:" + a.pagePort }
func (a *app) gatewayURL() string { return "http://localhost:" + a.gatewayPort }

// run runs both until ctx ends.
func (a *app) run(ctx context.Context) error {
	python, err := exec.LookPath("python3")
	if err != nil {
		return errors.New("app: the back end is written in Python: install python3")
	}
	dir, err := os.MkdirTemp("", "app")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	hookSecret, apiKey := "whsec_"+base64.StdEncoding.EncodeToString(randomBytes()), base64.RawURLEncoding.EncodeToString(randomBytes())
	if err := a.writeFiles(dir, hookSecret); err != nil {
		return err
	}
	settings := gateway.ReadSettings([]string{
		"--addr=127.0.0.1:" + a.gatewayPort, "--config=" + filepath.Join(dir, "board.yaml"), "--origins=" + a.pageURL(), "--log-level=warn",
	}, []string{"POSTHOUSE_API_KEY=" + apiKey}, nil)
	posthouse, err := gateway.New(settings.Config)
	if err != nil {
		return err
	}
	// The gateway ends first: it tells the back end of the last ends of connections.
	gatewayContext, endGateway := context.WithCancel(ctx)
	defer endGateway()
	backendContext, endBackend := context.WithCancel(context.WithoutCancel(ctx))
	defer endBackend()
	backend := exec.CommandContext(backendContext, python, filepath.Join(dir, "backend.py"))
	backend.Env = append(os.Environ(), "PORT="+a.pagePort, "GATEWAY="+a.gatewayURL(), "HOOK_SECRET="+hookSecret, "API_KEY="+apiKey)
	backend.Stderr = os.Stderr
	backend.Cancel = func() error { return backend.Process.Signal(os.Interrupt) }
	backend.WaitDelay = 5 * time.Second
	if err := backend.Start(); err != nil {
		return err
	}
	backendEnded, gatewayEnded := make(chan error, 1), make(chan error, 1)
	go func() { backendEnded <- backend.Wait() }()                // ends with endBackend
	go func() { gatewayEnded <- posthouse.Run(gatewayContext) }() // ends with endGateway
	fmt.Fprintf(a.out, "board:  %s\nphone:  %s/sim\n", a.pageURL(), a.gatewayURL())
	select {
	case err = <-gatewayEnded:
		endBackend()
		slog.Debug("app: the back end has ended", "error", <-backendEnded) // as it was told
	case err = <-backendEnded:
		endGateway()
		err = errors.Join(fmt.Errorf("app: the back end has ended: %w", err), <-gatewayEnded)
	}
	return err
}

// writeFiles writes the back end, its page and the gateway's configuration.
func (a *app) writeFiles(dir, hookSecret string) error {
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, path), 0o700)
		}
		text, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		text = bytes.ReplaceAll(text, []byte("{{backend}}"), []byte("http://127.0.0.1:"+a.pagePort))
		return os.WriteFile(filepath.Join(dir, path), text, 0o600)
	})
	return errors.Join(err, os.WriteFile(filepath.Join(dir, "hook.key"), []byte(hookSecret+"\n"), 0o600))
}

func randomBytes() []byte {
	b := make([]byte, 24)
	rand.Read(b) // never fails
	return b
}
