package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/socketio/api"
)

// buildAPI makes the HTTP API of docs/realtime.md §5; nil without a key.
func (a *App) buildAPI() error {
	if a.config.APIKey == "" {
		return nil
	}
	h, err := a.newAPIHandler(a.config.APIKey)
	if err != nil {
		return err
	}
	a.api.Store(h)
	a.apiHandler = a.traces.followRequests(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.api.Load().ServeHTTP(w, r) }))
	return nil
}

func (a *App) newAPIHandler(text Secret) (*api.Handler, error) {
	keys, err := parseAPIKeys(text)
	if err != nil {
		return nil, err
	}
	o := &api.Options{Keys: keys, Presence: a.presenceOf, Logger: a.log}
	if a.redisClient != nil {
		o.Idempotency = &redisAnswers{a.redisClient, a.config.AdapterKey + "-api:"}
	}
	return api.New(a.ioServer, o)
}

func parseAPIKeys(text Secret) ([]api.Key, error) {
	keys, err := api.ParseKeys(text.Reveal())
	if err != nil {
		return nil, keyError("POSTHOUSE_API_KEY", "…", err.Error()+"; write one of 16 characters or more in each line")
	}
	return keys, nil
}

// serveAPI serves the API on an address of its own.
func (a *App) serveAPI(tasks *sync.WaitGroup, failed chan<- error) (stop func(), err error) {
	if a.apiHandler == nil || a.config.APIAddr == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", a.config.APIAddr)
	if err != nil {
		return nil, fmt.Errorf("gateway: POSTHOUSE_API_ADDR: %w", err)
	}
	server := a.newSideServer(a.apiHandler, apiLimit)
	tasks.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("gateway: api: %w", err)
		}
	})
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx) // what takes longer is cut
		_ = server.Close()
	}, nil
}

// redisAnswers keeps the answers of requests with an Idempotency-Key in Redis, where all
// replicas find them. The names of its keys are hashes.
type redisAnswers struct {
	rdb    redis.UniversalClient
	prefix string
}

// keptAnswer is what stands in Redis; Answer is nil while the first request runs.
type keptAnswer struct {
	Fingerprint string            `json:"fingerprint"`
	Answer      *api.StoredAnswer `json:"answer"`
}

// Begin implements api.IdempotencyStore.
func (s *redisAnswers) Begin(ctx context.Context, id, fingerprint string, age time.Duration) (*api.StoredAnswer, error) {
	text, err := json.Marshal(keptAnswer{Fingerprint: fingerprint})
	if err != nil {
		return nil, err
	}
	// SET with NX and GET answers what was there, in one step.
	before, err := s.rdb.SetArgs(ctx, s.prefix+id, text, redis.SetArgs{Mode: "NX", Get: true, TTL: age}).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, nil // it is ours
	case err != nil:
		return nil, err
	}
	var kept keptAnswer
	if err := json.Unmarshal([]byte(before), &kept); err != nil {
		return nil, fmt.Errorf("gateway: a kept answer cannot be read: %w", err)
	}
	switch {
	case kept.Fingerprint != fingerprint:
		return nil, api.ErrOtherBody
	case kept.Answer == nil:
		return nil, api.ErrInProgress
	}
	return kept.Answer, nil
}

// Finish implements api.IdempotencyStore.
func (s *redisAnswers) Finish(ctx context.Context, id, fingerprint string, a *api.StoredAnswer, age time.Duration) error {
	text, err := json.Marshal(keptAnswer{fingerprint, a})
	if err != nil {
		return err
	}
	return s.rdb.Set(ctx, s.prefix+id, text, age).Err()
}

// Abandon implements api.IdempotencyStore.
func (s *redisAnswers) Abandon(ctx context.Context, id string) error {
	return s.rdb.Del(ctx, s.prefix+id).Err()
}
