package wxsim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options of a [Sim]. The zero value is a simulator with the [DevAccount],
// WeChat's times, and no callback yet.
type Options struct {
	// Accounts of the platform; none: the DevAccount.
	Accounts []Account
	// Callbacks are the URLs pushes go to in turn. See [Sim.SetCallbacks].
	Callbacks []string
	// Prefix of every route; default "/sim".
	Prefix string
	// BaseURL is where people reach Prefix, without a trailing slash; it ends
	// up in QR codes. Default: "http://", the Host of the request that asks for
	// a code, and Prefix.
	BaseURL string

	// Timeout is how long WeChat waits for an answer; default 5 s.
	Timeout time.Duration
	// Deliveries of one push at most; default 3.
	Deliveries int
	// RetryPause is the time from the start of one delivery to the next when a
	// connection failed; default is Timeout, as the documents say "about 5 s".
	RetryPause time.Duration
	// MarkFail is how many failed deliveries within MarkFailWindow stop pushes to
	// an account for MarkFailPause; default 50 (WeChat does not publish its
	// number), negative: never. The times default to a minute.
	MarkFail                      int
	MarkFailWindow, MarkFailPause time.Duration

	// LogSize is how many pushes are remembered; default 500.
	LogSize int
	// Seed of everything random; 0: a different one each time.
	Seed uint64
	// AllowRemote answers peers that are not on loopback. Anybody who reaches
	// the simulator can then log in as anybody: for closed networks only.
	AllowRemote bool
	// Logger gets one line for each push; nil means slog.Default().
	Logger *slog.Logger
}

// Sim is a simulated platform. Its methods may be called concurrently.
type Sim struct {
	opts   Options
	client *http.Client
	log    *slog.Logger

	life  context.Context // of late copies and of pushes under way
	end   context.CancelFunc
	tasks sync.WaitGroup

	mu           sync.Mutex // guards what follows
	settings     settings
	clock        clock
	rand         *source
	accounts     []*account
	people       []*relation // oldest first
	codes        []*qrCode   // oldest first
	codesChecked int         // forget ended ones at this number
	codeByID     map[string]*qrCode
	codeByTicket map[string]*qrCode
	webCodes     map[string]webCode
	callbacks    []string
	turn         int // round robin over callbacks
	rules        []*Rule
	faultSeed    uint64
	pushes       []*Push // oldest first, at most opts.LogSize
	pushCount    int
	tally        tally
	late         int // copies waiting in the background
	rids         map[string]ridRecord
	ridOrder     []string
	msgID        int64
	version      uint64 // counts changes, for pages that ask again
}

// New makes a simulator; it starts nothing. [Sim.Handler] serves it and
// [Sim.Close] ends what it still has under way.
func New(o *Options) (*Sim, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	if len(opts.Accounts) == 0 {
		opts.Accounts = []Account{DevAccount()}
	}
	if opts.Prefix == "" {
		opts.Prefix = "/sim"
	}
	opts.Prefix = "/" + strings.Trim(opts.Prefix, "/")
	opts.BaseURL = strings.TrimRight(opts.BaseURL, "/")
	opts.LogSize = or(opts.LogSize, 500)
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Seed == 0 {
		opts.Seed = rand.Uint64()
	}
	habits, err := opts.settings().apply(settingsBody{})
	if err != nil {
		return nil, fmt.Errorf("wxsim: %w", err)
	}
	life, end := context.WithCancel(context.Background())
	s := &Sim{
		opts: opts, settings: habits, client: newClient(), log: opts.Logger, life: life, end: end,
		rand: newSource(opts.Seed), faultSeed: opts.Seed,
		codeByID: make(map[string]*qrCode), codeByTicket: make(map[string]*qrCode),
		rids: make(map[string]ridRecord), webCodes: make(map[string]webCode),
		msgID: 24_900_000_000_000_000 + time.Now().UnixMicro()%1_000_000_000_000,
	}
	for _, a := range opts.Accounts {
		if _, err := s.addAccount(a); err != nil {
			end()
			return nil, err
		}
	}
	if err := s.SetCallbacks(opts.Callbacks...); err != nil {
		end()
		return nil, err
	}
	return s, nil
}

// or is v, or def when v is the zero value.
func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// newClient speaks like WeChat's pusher: no proxy, no redirects, no cookies.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     30 * time.Second,
			DisableCompression:  true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// SetCallbacks replaces the URLs that pushes go to in turn, as if they were
// replicas behind one address. Accounts with callbacks of their own keep them.
func (s *Sim) SetCallbacks(urls ...string) error {
	for _, u := range urls {
		if err := checkCallback(u); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callbacks = append([]string(nil), urls...)
	s.changed()
	return nil
}

func checkCallback(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Fragment != "" {
		return fmt.Errorf("wxsim: %q is no callback URL (http or https, with a host)", raw)
	}
	return nil
}

// Close stops what is under way, waits for it and frees connections. It may be
// called more than once. Requests that a server still serves are not waited
// for: shut the server down first.
func (s *Sim) Close() {
	s.end()
	s.tasks.Wait()
	s.client.CloseIdleConnections()
}

var errDuplicateAccount = errors.New("wxsim: this appid or original id exists already")

// addAccount takes the lock only because accounts can be added at run time.
func (s *Sim) addAccount(settings Account) (*account, error) {
	settings, err := settings.withDefaults()
	if err != nil {
		return nil, err
	}
	a := &account{
		Account: settings, usage: make(map[string]*usage),
		byOpenID: make(map[string]*relation), byScene: make(map[string]*qrCode),
		tokens: tokens{all: make(map[string]*accessToken)},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.accounts {
		if other.AppID == a.AppID || other.OriginalID == a.OriginalID {
			return nil, errDuplicateAccount
		}
	}
	s.accounts = append(s.accounts, a)
	s.changed()
	return a, nil
}

// account finds one by appid or original id; empty means the first. Holds s.mu.
func (s *Sim) account(id string) *account {
	if id == "" {
		return s.accounts[0]
	}
	for _, a := range s.accounts {
		if a.AppID == id || a.OriginalID == id {
			return a
		}
	}
	return nil
}

// changed marks that a page would look different now. Holds s.mu.
func (s *Sim) changed() { s.version++ }

// source is the package's one well of randomness: seeded, so that a run with
// faults can be repeated. Guarded by Sim.mu.
type source struct{ *rand.Rand }

func newSource(seed uint64) *source {
	return &source{rand.New(rand.NewPCG(seed, 0x77787369 /* "wxsi" */))}
}

const idAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// text is n characters of the URL-safe alphabet.
func (r *source) text(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = idAlphabet[r.IntN(len(idAlphabet))]
	}
	return string(b)
}

// digits is n decimal digits, the first not zero.
func (r *source) digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + r.IntN(10))
	}
	b[0] = byte('1' + r.IntN(9))
	return string(b)
}

// hex is n lower-case hex digits.
func (r *source) hex(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789abcdef"[r.IntN(16)]
	}
	return string(b)
}
