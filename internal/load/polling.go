package load

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

const pollingPath = "/socket.io/?EIO=4&transport=polling"

// openPolling opens a session and joins the main namespace.
func openPolling(h *httpConn) (path string, err error) {
	open, err := h.do(http.MethodGet, pollingPath, "")
	if err != nil {
		return "", err
	}
	var hs struct{ SID string }
	if !strings.HasPrefix(open, "0") || json.Unmarshal([]byte(open[1:]), &hs) != nil || hs.SID == "" {
		return "", fmt.Errorf("load: open packet %.80q", open)
	}
	path = pollingPath + "&sid=" + hs.SID
	if _, err := h.do(http.MethodPost, path, "40"); err != nil {
		return "", err
	}
	answer, err := h.do(http.MethodGet, path, "")
	if err == nil && !strings.HasPrefix(answer, `40{"sid":`) {
		err = fmt.Errorf("load: CONNECT answered with %.80q", answer)
	}
	return path, err
}

// pollingRoundTrip is echo over polling: a GET waits on one connection while a
// POST goes out on another.
func pollingRoundTrip(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	return pollingEcho(ctx, l, targets, `"hello",{"n":1}`, nil)
}

// compressedPolling is pollingRoundTrip for n bytes of JSON, whose answers may be
// compressed.
func compressedPolling(n int) func(context.Context, Load, []*Target) ([]Metric, error) {
	return func(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
		l.Connections = 1 // so that one gunzip counts
		sizes := &gunzip{}
		m, err := pollingEcho(ctx, l, targets, records(n, 0), sizes)
		if err == nil && sizes.plain == 0 {
			err = errPlain
		}
		return append(m, Metric{Name: "size", Unit: "%", Value: 100 * float64(sizes.wire) / float64(max(sizes.plain, 1))}), err
	}
}

func pollingEcho(ctx context.Context, l Load, targets []*Target, args string, compressed *gunzip) ([]Metric, error) {
	l = l.withDefaults()
	team := newCrew(ctx)
	question, want := `421["echo",`+args+`]`, `431[`+args+`]`
	for range l.Connections {
		get, err := dialHTTP(ctx, targets[0].Addr)
		if err != nil {
			return team.finish(nil, err)
		}
		get.gzip = compressed
		path, err := openPolling(get)
		if err != nil {
			_ = get.Close()
			return team.finish(nil, err)
		}
		post, err := dialHTTP(ctx, targets[0].Addr)
		if err != nil {
			_ = get.Close()
			return team.finish(nil, err)
		}
		team.work(both{get, post}, func() (int, error) {
			if err := get.request(http.MethodGet, path, ""); err != nil {
				return 0, err
			}
			if _, err := post.do(http.MethodPost, path, question); err != nil {
				return 0, err
			}
			for {
				switch answer, err := get.answer(); {
				case err != nil:
					return 0, err
				case answer == want:
					return 1, nil
				case answer == "2": // a ping: answer, and poll again
					if _, err := post.do(http.MethodPost, path, "3"); err != nil {
						return 0, err
					}
					if err := get.request(http.MethodGet, path, ""); err != nil {
						return 0, err
					}
				default:
					return 0, fmt.Errorf("load: polled %.80q", answer)
				}
			}
		})
	}
	m, err := team.measure(l, "µs", targets)
	return team.finish(m, err)
}

type both struct{ a, b *httpConn }

func (x both) Close() error {
	_ = x.a.Close()
	return x.b.Close()
}

// pollingOpenClose opens sessions, joins and leaves, on kept-alive connections:
// two GETs and two POSTs each.
func pollingOpenClose(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	l = l.withDefaults()
	team := newCrew(ctx)
	for range 8 {
		h, err := dialHTTP(ctx, targets[0].Addr)
		if err != nil {
			return team.finish(nil, err)
		}
		team.work(h, func() (int, error) {
			path, err := openPolling(h)
			if err != nil {
				return 0, err
			}
			_, err = h.do(http.MethodPost, path, "1")
			return 1, err
		})
	}
	m, err := team.measure(l, "µs", targets)
	return team.finish(m, err)
}
