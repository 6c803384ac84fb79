package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/socketio/client"
)

// attack is one hostile request and what must come of it.
type attack struct {
	name   string
	method string // GET
	path   string
	header []string // "Name: value"
	body   string
	want   []int    // statuses
	says   string   // what the body must hold
	never  []string // what neither body nor headers may hold
}

// polling is the path of a polling handshake.
const polling = "/socket.io/?EIO=4&transport=polling"

// answer is what an attack got.
type answer struct {
	status int
	body   string
	header http.Header
}

// send does one attack at a base URL.
func (s *stage) send(base string, a attack) (answer, error) {
	method := a.method
	if method == "" {
		method = http.MethodGet
	}
	q, err := http.NewRequestWithContext(s.Context(), method, base+a.path, strings.NewReader(a.body))
	if err != nil {
		return answer{}, err
	}
	for _, line := range a.header {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			q.Host = value
			continue
		}
		q.Header.Add(name, value)
	}
	r, err := s.http.Do(q)
	if err != nil {
		return answer{}, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return answer{r.StatusCode, string(body), r.Header}, err
}

// attacks does a table of hostile requests at replica 1.
func (s *stage) attacks(table []attack) {
	s.Helper()
	var slowest time.Duration
	for _, a := range table {
		began := time.Now()
		got, err := s.send(s.cluster.Bases[0], a)
		slowest = max(slowest, time.Since(began))
		good := false
		for _, status := range a.want {
			good = good || got.status == status
		}
		s.must(err == nil && good && strings.Contains(got.body, a.says), "%s: %d %.120q %v", a.name, got.status, got.body, err)
		for _, word := range a.never {
			leaked := strings.Contains(got.body, word)
			for name, values := range got.header {
				leaked = leaked || strings.Contains(name+": "+strings.Join(values, ","), word)
			}
			s.must(!leaked, "%s: the answer holds %q", a.name, word)
		}
	}
	s.figure("%d attacks, the slowest answer after %v", len(table), round(slowest))
}

// bystanders measures what other people notice: n connected sockets ask something again
// and again while attack runs. It returns the p99 of their answers.
func (s *stage) bystanders(n int, during func()) time.Duration {
	s.Helper()
	ctx, stop := context.WithCancel(s.Context())
	defer stop()
	var mu sync.Mutex // guards took
	var took []time.Duration
	var failed atomic.Int64
	var all sync.WaitGroup
	for i := range n {
		// An address of its own: the limits of the attacker's are not its.
		local := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 9, byte(1+i))}}
		c, err := client.Dial(ctx, s.cluster.Bases[0]+"/login", &client.Options{Transports: []string{"websocket"}, NoReconnect: true, DialContext: local.DialContext})
		s.need(err)
		all.Go(func() {
			defer func() { _ = c.Manager().Close() }()
			for ctx.Err() == nil {
				began := time.Now()
				if _, err := c.EmitWithAck(ctx, "resume", map[string]string{"ticket": "x", "resume": "y"}); err != nil {
					if ctx.Err() == nil {
						failed.Add(1)
					}
					return
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
				s.pause(500 * time.Millisecond) // below the rate of events
			}
		})
	}
	during()
	stop()
	all.Wait()
	s.must(failed.Load() == 0, "%d bystanders lost their connection", failed.Load())
	sortDurations(took)
	s.figure("%d bystanders: %d answers, p50 %v p99 %v", n, len(took), round(at(took, .5)), round(at(took, .99)))
	return at(took, .99)
}

// from is an HTTP client that comes from one address of 127.0.0.0/8.
func from(ip net.IP) *http.Client {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: ip}, Timeout: 5 * time.Second}
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
}
