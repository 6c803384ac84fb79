package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/testenv"
)

// slack is a bar's time on this machine: POSTHOUSE_TEST_SLACK multiplies it where others
// use the machine as well, as `make test` does.
func (s *stage) slack(bar time.Duration) time.Duration {
	if factor, err := strconv.ParseFloat(os.Getenv("POSTHOUSE_TEST_SLACK"), 64); err == nil && factor > 1 {
		bar = time.Duration(float64(bar) * factor)
	}
	if testenv.Race {
		bar *= 2
	}
	return bar
}

// awaitRedis waits until the server of the cluster answers.
func (s *stage) awaitRedis() {
	s.Helper()
	_, ok := s.until(20*time.Second, func() bool {
		c, err := net.DialTimeout("tcp", s.cluster.RedisAddr, time.Second)
		if err != nil {
			return false
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		answer := make([]byte, 5)
		if _, err := c.Write([]byte("PING\r\n")); err != nil {
			return false
		}
		n, _ := c.Read(answer)
		return string(answer[:n]) == "+PONG"
	})
	if !ok {
		s.Fatal("Redis does not answer")
	}
}

// tickets are the codes that pages show, by person.
func (s *stage) tickets() map[string]string {
	shown := map[string]string{}
	s.ledger.note(func() {
		for _, e := range s.ledger.logins {
			shown[e.person] = e.ticket
		}
	})
	return shown
}

// renewed counts the pages that show another code than before.
func (s *stage) renewed(before map[string]string) (n int) {
	for person, ticket := range s.tickets() {
		if old := before[person]; old != "" && ticket != old {
			n++
		}
	}
	return n
}

// has reports whether a page shows a code.
func (s *stage) has(t *tab) (shown bool) {
	s.ledger.note(func() { shown = t.login.ticket != "" })
	return shown
}

// refusals counts the answers that asked pages to try again.
func (s *stage) refusals() (n int) {
	s.ledger.note(func() {
		for _, count := range s.ledger.refused {
			n += count
		}
	})
	return n
}

// degraded reports whether a replica says that it misses Redis.
func (s *stage) degraded(replica int) bool {
	_, body, _ := s.get(s.cluster.Bases[replica] + "/readyz")
	return !containsAll(body, `"status":"ok"`)
}

// faults are the rules of the local WeChat; none: it is healthy.
func (s *stage) faults(rules ...map[string]any) {
	s.Helper()
	if rules == nil {
		rules = []map[string]any{}
	}
	var out struct{ Error string }
	status, err := s.post(s.cluster.WeChat+"/sim/faults", map[string]any{"rules": rules, "seed": s.seed}, &out)
	if err != nil || status != 200 {
		s.Fatalf("faults: %d %s %v", status, out.Error, err)
	}
}

// redisCommand sends a command to the server of the cluster and returns its answer as
// text, a list as lines.
func (s *stage) redisCommand(args ...any) string {
	s.Helper()
	return askRedis(s, s.cluster.RedisAddr, args...)
}

func askRedis(t testing.TB, addr string, args ...any) string {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer c.Close()
	answer, err := c.Do(context.WithoutCancel(t.Context()), args...).Result()
	if err != nil {
		t.Errorf("redis: %v: %v", args[0], err)
	}
	list, ok := answer.([]any)
	if !ok {
		return strings.TrimSpace(fmt.Sprint(answer))
	}
	lines := make([]string, len(list))
	for i, v := range list {
		lines[i] = fmt.Sprint(v)
	}
	return strings.Join(lines, "\n")
}

// redisCommands is how many commands the server of the cluster has handled.
func (s *stage) redisCommands() int {
	s.Helper()
	_, rest, _ := strings.Cut(s.redisCommand("INFO", "stats"), "total_commands_processed:")
	n, _ := strconv.Atoi(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]))
	return n
}

// getJSON reads what a URL answers.
func (s *stage) getJSON(url string, out any) error {
	_, body, _ := s.get(url)
	return json.Unmarshal([]byte(body), out)
}

func sortDurations(all []time.Duration) { slices.Sort(all) }
