package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
)

// emit is the command "posthouse emit": an event for clients, through the HTTP API or
// straight through Redis.
type emit struct {
	Namespace string   `default:"/" help:"The namespace, such as /app."`
	To        []string `placeholder:"ROOM" help:"Rooms or ids of sockets; every client when left out."`
	Except    []string `placeholder:"ROOM" help:"Rooms or ids of sockets that are left out."`
	Volatile  bool     `help:"Leave out clients that are not ready for it."`

	API     string        `placeholder:"URL" help:"The address of a gateway with an API, such as http://127.0.0.1:3000."`
	KeyFile string        `placeholder:"FILE" help:"File with the key of the API; without it POSTHOUSE_API_KEY is used. The first key counts."`
	Redis   string        `placeholder:"URL" help:"redis:// URL, to emit without a gateway's help: to Go and Node servers alike."`
	Adapter string        `default:"redis" enum:"redis,sharded,streams" help:"With --redis, the adapter of the servers: redis, sharded or streams."`
	Prefix  string        `name:"adapter-key" default:"socket.io" help:"With --redis, the prefix of the channels."`
	Timeout time.Duration `default:"5s" help:"Longest time to wait."`

	Event string   `arg:"" help:"The name of the event."`
	Args  []string `arg:"" optional:"" help:"The arguments as JSON; what is no JSON is taken as text."`
}

// Help is shown by posthouse emit --help.
func (emit) Help() string {
	return `Example: posthouse emit --api http://127.0.0.1:3000 --key-file api.key --to room:1 hello '{"a":1}'
         posthouse emit --redis redis://127.0.0.1:6379 --namespace /app --to room:1 hello '{"a":1}'`
}

// Run sends the event. It prints nothing when it was taken.
func (e *emit) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	switch {
	case e.API != "" && e.Redis != "":
		return errors.New("--api and --redis: give one of them")
	case e.API != "":
		return e.throughAPI(ctx)
	case e.Redis != "":
		return e.throughRedis(ctx)
	}
	return errors.New("--api or --redis is missing: say where to emit")
}

// arguments are the JSON values of the command line.
func (e *emit) arguments() []json.RawMessage {
	args := make([]json.RawMessage, len(e.Args))
	for i, text := range e.Args {
		if args[i] = json.RawMessage(text); !json.Valid(args[i]) {
			quoted, err := json.Marshal(text)
			if err != nil {
				panic(err) // a string always encodes
			}
			args[i] = quoted
		}
	}
	return args
}

func (e *emit) throughAPI(ctx context.Context) error {
	key := os.Getenv("POSTHOUSE_API_KEY")
	if e.KeyFile != "" {
		text, err := os.ReadFile(e.KeyFile)
		if err != nil {
			return fmt.Errorf("--key-file: %w", err)
		}
		key = string(text)
	}
	fields := strings.Fields(key)
	if len(fields) == 0 {
		return errors.New("--key-file or POSTHOUSE_API_KEY is missing: the API asks for a key")
	}
	body, err := json.Marshal(map[string]any{
		"namespace": e.Namespace, "to": append([]string{}, e.To...), "except": append([]string{}, e.Except...),
		"event": e.Event, "args": e.arguments(), "volatile": e.Volatile,
	})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(e.API, "/")+"/api/emit", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("--api: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+fields[0])
	r.Header.Set("Content-Type", "application/json")
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer w.Body.Close()
	text, err := io.ReadAll(io.LimitReader(w.Body, 64<<10))
	if err != nil || w.StatusCode != http.StatusOK {
		return fmt.Errorf("the API answered %s: %s", w.Status, bytes.TrimSpace(text))
	}
	return nil
}

func (e *emit) throughRedis(ctx context.Context) error {
	o, err := redis.ParseURL(e.Redis)
	if err != nil {
		return fmt.Errorf("--redis: %w", err)
	}
	rdb := redis.NewClient(o)
	defer rdb.Close()
	if err := rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("--redis: %w", err)
	}
	var emitter *adapter.Emitter
	switch e.Adapter {
	case "sharded":
		emitter = adapter.NewShardedEmitter(rdb, &adapter.ShardedOptions{ChannelPrefix: e.Prefix})
	case "streams":
		emitter = adapter.NewStreamsEmitter(rdb, &adapter.StreamsOptions{StreamName: e.Prefix, ChannelPrefix: e.Prefix})
	default:
		emitter = adapter.NewEmitter(rdb, &adapter.EmitterOptions{Key: e.Prefix})
	}
	args := make([]any, len(e.Args))
	for i, text := range e.arguments() {
		args[i] = text
	}
	op := emitter.Of(e.Namespace).To(e.To...).Except(e.Except...)
	if e.Volatile {
		op = op.Volatile()
	}
	return op.Emit(ctx, e.Event, args...)
}
