package doctor

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A limit of requests for each address is shared with whatever else is at that address: the
// doctor waits as long as it is told, and blames no proxy for what a limit refused.
func TestUntilTaken_WaitsAsAsked_AndTellsALimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		refusals   int
		retryAfter string
		waits      time.Duration
		limited    bool
	}{
		{"taken at once", 0, "", 0, false},
		{"taken later", 2, "3", 6 * time.Second, false},
		{"a date", 1, "Sat, 28 Nov 2026 10:00:00 GMT", time.Second, false},
		{"an hour", 1, "3600", 5 * time.Second, false},
		{"never", 100, "2", 6 * time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &walk{target: &target{}, hop: hopNginx, results: map[string]Check{}}
				began, asked := time.Now(), 0
				w.untilTaken(t.Context(), func() (int, http.Header) {
					if asked++; asked <= c.refusals {
						return http.StatusTooManyRequests, http.Header{"Retry-After": {c.retryAfter}}
					}
					return http.StatusOK, nil
				})
				if waited := time.Since(began); waited != c.waits {
					t.Errorf("waited for %s", waited)
				}
				w.fail("websocket", faultUpgrade, "%s in place of 101", "429")
				got := w.results["websocket"]
				if blamesLimit := got.Blame != "nginx" && strings.Contains(strings.Join(got.Settings, "\n"), "POSTHOUSE_LIMIT_HANDSHAKES_PER_IP"); blamesLimit != c.limited {
					t.Errorf("%+v", got)
				}
				if w.fail("upgrade", faultUpgrade, "lost"); w.results["upgrade"].Blame != "nginx" {
					t.Errorf("the next check is blamed on the limit as well: %+v", w.results["upgrade"])
				}
			})
		})
	}
}

// Doctors that come together find out what one alone does: the server gives few answers in
// two parts at once, and refuses the others for a while.
func TestFindPosthouse_BusyServer_IsAskedAgain(t *testing.T) {
	t.Parallel()
	var asked, streams atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case asked.Add(1) == 1:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		case r.URL.Query().Get("stream") == "":
			w.Write([]byte(`{"server":"posthouse"}`))
		case streams.Add(1) == 1:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.Write([]byte("1\n2\n"))
		}
	}))
	defer s.Close()
	target, err := parseTarget(Options{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer target.close()
	w := &walk{target: target, results: map[string]Check{}}
	if w.findPosthouse(t.Context()); !w.isPosthouse || w.own.stream == nil {
		t.Errorf("%t, %+v", w.isPosthouse, w.own)
	}
}
