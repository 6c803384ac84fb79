package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/redis/go-redis/v9"

	"posthouse/internal/sleep"
)

// doctorProbe answers "posthouse doctor" below the path of Socket.IO, so that the requests
// go the way of all others (docs/doctor.md §3). Strangers may ask too: the answer
// holds what a request itself carried, as it arrived, and a few harmless numbers. No
// address of a proxy, of Redis or of a replica is in it.
type doctorProbe struct {
	app   *App
	rates *keyedRate[netip.Addr]

	fill    *doctorFill
	streams atomic.Int64 // answers in two parts that are under way

	turn    chan struct{} // holds one token while a request looks at the fields below, or at Redis
	redis   *redisState
	askedAt time.Time
}

// redisState is what the doctor may know of Redis.
type redisState struct {
	OK        bool    `json:"ok"`
	LatencyMS float64 `json:"latencyMs"`
	Policy    string  `json:"policy"` // "" when the user of the URL may not ask
}

// doctorAnswer is the body of GET <socket.io path>/doctor.
type doctorAnswer struct {
	Server    string      `json:"server"`
	Now       int64       `json:"now"`
	Direct    bool        `json:"direct"`
	Trusted   bool        `json:"trusted"`
	Spoofed   bool        `json:"spoofed"`
	Forwarded []string    `json:"forwarded"`
	Scheme    string      `json:"scheme"`
	Host      string      `json:"host"`
	Query     string      `json:"query"`
	Headers   []string    `json:"headers"`
	Webhooks  []string    `json:"webhooks"`
	Redis     *redisState `json:"redis"`
	Replica   string      `json:"replica"`
	Replicas  int         `json:"replicas"`
	Reasons   []string    `json:"reasons"`
}

const (
	// doctorHeader carries the asker's own end of its connection.
	doctorHeader = "X-Posthouse-Doctor"
	// doctorSpoof is the address that the doctor makes up, of a network for documentation.
	doctorSpoof = "192.0.2.77"
	// doctorPause lies between the two parts of an answer.
	doctorPause = 500 * time.Millisecond
	// maxDoctorStreams bounds the answers that wait for their second part.
	maxDoctorStreams = 16
	// redisStateAge is how long one look at Redis serves all who ask.
	redisStateAge = 5 * time.Second
)

func (a *App) registerDoctor(e *echo.Echo) {
	p := &doctorProbe{app: a, rates: newKeyedRate[netip.Addr](a.config.LimitHandshakes, 3*a.config.LimitHandshakes.N), fill: newDoctorFill(), turn: make(chan struct{}, 1)}
	e.GET(a.config.SocketIOPath+"/doctor", mountHandler(a.admission.origins.middleware(p)))
}

// ServeHTTP tells what arrived.
func (p *doctorProbe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if ok, retryAfter := p.rates.allow(limitKey(p.app.admission.clientIP(r))); !ok {
		refuseDoctor(w, http.StatusTooManyRequests, retryAfter)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	switch q := r.URL.Query(); {
	case q.Get("stream") != "":
		p.answerInParts(w, r)
		return
	case q.Get("fill") != "":
		p.fill.write(w, q.Get("fill"))
		return
	case q.Get("filled") != "":
		p.fill.tell(w, q.Get("filled"))
		return
	}
	text, err := json.Marshal(p.look(r))
	if err != nil {
		panic(err) // strings, numbers and booleans always encode
	}
	w.Write(append(text, '\n'))
}

// answerInParts writes two lines with a pause between: a proxy that buffers answers
// passes them on together.
func (p *doctorProbe) answerInParts(w http.ResponseWriter, r *http.Request) {
	defer p.streams.Add(-1)
	if p.streams.Add(1) > maxDoctorStreams {
		refuseDoctor(w, http.StatusServiceUnavailable, 1)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8") // as polls
	w.Write([]byte("1\n"))
	if http.NewResponseController(w).Flush() != nil || sleep.For(r.Context(), doctorPause) != nil {
		return
	}
	w.Write([]byte("2\n"))
}

func refuseDoctor(w http.ResponseWriter, status, retryAfter int) {
	w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	http.Error(w, http.StatusText(status), status)
}

func (p *doctorProbe) look(r *http.Request) *doctorAnswer {
	host, scheme := p.app.admission.origins.requestedHost(r)
	a := &doctorAnswer{
		Server: "posthouse", Now: time.Now().UnixMilli(),
		Direct:  r.Header.Get(doctorHeader) == r.RemoteAddr,
		Trusted: trustsProxy(p.app.admission.trustedProxies, r.RemoteAddr),
		Spoofed: p.app.admission.clientIP(r).String() == doctorSpoof,
		Scheme:  shortenText(scheme), Host: shortenText(host), Query: shortenText(r.URL.RawQuery),
		Forwarded: presentHeaders(r.Header, "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"),
		Headers:   presentHeaders(r.Header, "Authorization", "Cookie", "Traceparent"),
		Redis:     p.lookAtRedis(r.Context()),
		Replica:   p.app.replicaName, Replicas: 1,
		Reasons: p.app.health.checkAll(r.Context()).Reasons,
	}
	for i, account := range p.app.accounts.inOrder {
		if i == 0 {
			a.Webhooks = append(a.Webhooks, "/callback/wechat")
		} else if i < 8 {
			a.Webhooks = append(a.Webhooks, "/callback/wechat/"+account.Name)
		}
	}
	if p.app.relay != nil {
		a.Replicas += (&clusterCollector{app: p.app}).sumStats().Nodes
	}
	return a
}

// presentHeaders are the names of those that r has.
func presentHeaders(h http.Header, names ...string) []string {
	present := []string{}
	for _, name := range names {
		if h.Get(name) != "" {
			present = append(present, name)
		}
	}
	return present
}

// lookAtRedis takes the best of three round trips, at most every few seconds.
func (p *doctorProbe) lookAtRedis(ctx context.Context) *redisState {
	if p.app.redisClient == nil {
		return nil
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return &redisState{}
	}
	if p.redis != nil && time.Since(p.askedAt) < redisStateAge {
		return p.redis
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	p.redis = readRedisState(ctx, p.app.redisClient)
	p.askedAt = time.Now()
	return p.redis
}

func readRedisState(ctx context.Context, rdb redis.UniversalClient) *redisState {
	s := &redisState{}
	for range 3 {
		began := time.Now()
		if rdb.Ping(ctx).Err() != nil {
			return s
		}
		if ms := float64(time.Since(began).Microseconds()) / 1000; !s.OK || ms < s.LatencyMS {
			s.OK, s.LatencyMS = true, ms
		}
	}
	s.Policy = redisInfo(ctx, rdb, "memory", "maxmemory_policy")
	return s
}
