package callback

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"posthouse/internal/wechat"
)

const (
	upstreamTime = 4 * time.Second
	maxReply     = 64 << 10
)

var (
	errUpstreamStatus = errors.New("callback: the upstream's answer is no 200")
	errUpstreamLength = errors.New("callback: the upstream's answer is too long")
)

// upstream is the site's own bot behind a bulkhead: WeChat knows one URL per
// account, so whoever takes the URL must hand on what is not his. However slow
// or broken the bot is, WeChat gets a good answer in time, for enough bad ones
// stop all pushes, logins included, for a minute.
type upstream struct {
	targetURL url.URL
	slots     chan struct{}
}

func newUpstream(u *url.URL, l Limits) *upstream {
	if l.Upstream <= 0 {
		l.Upstream = 32
	}
	return &upstream{targetURL: *u, slots: make(chan struct{}, l.Upstream)}
}

func newUpstreamClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
			MaxIdleConnsPerHost:    32,
			IdleConnTimeout:        60 * time.Second,
			MaxResponseHeaderBytes: 16 << 10,
		},
		// A redirect is not followed: the push would go who knows where.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// passOn hands a push on and takes the bot's reply for ours, if it is one that WeChat
// takes.
func (a *account) passOn(ctx context.Context, d *delivery) verdict {
	if a.upstreamBot == nil {
		return verdict{}
	}
	if !takeSlot(a.upstreamBot.slots) {
		a.handler.options.Metrics.Fault(a.Name, "upstream_busy")
		return verdict{}
	}
	defer giveSlotBack(a.upstreamBot.slots)
	req, err := a.forwardRequest(d)
	var v verdict
	if err == nil {
		// Time is left to answer and to mark the push as done.
		until := d.arrivedAt.Add(answerTime - storeTime/2)
		v, err = a.sendUpstream(ctx, req, earlierOf(until, time.Now().Add(upstreamTime)))
	}
	if err == nil {
		v.rawReply, err = d.push.Passive(v.rawReply, a.handler.options.Now())
	}
	if err != nil {
		a.upstreamFault(err)
		return verdict{}
	}
	return v
}

// copyLogin hands a push on beside the answer to WeChat. Nothing waits for the bot
// and its answer is ignored.
func (a *account) copyLogin(d *delivery) {
	if !takeSlot(a.upstreamBot.slots) {
		a.handler.options.Metrics.Fault(a.Name, "upstream_busy")
		return
	}
	req, err := a.forwardRequest(d) // here: the request is its server's again after the answer
	if err != nil {
		giveSlotBack(a.upstreamBot.slots)
		a.upstreamFault(err)
		return
	}
	a.handler.loginCopies.Go(func() { // ends within upstreamTime; Close waits for it
		defer giveSlotBack(a.upstreamBot.slots)
		defer func() {
			if v := recover(); v != nil {
				a.reportPanic(v)
			}
		}()
		if _, err := a.sendUpstream(context.Background(), req, time.Now().Add(upstreamTime)); err != nil {
			a.upstreamFault(err)
		}
	})
}

// upstreamFault counts an answer that is of no use to WeChat. Its text stays out of
// the log: it may speak of persons.
func (a *account) upstreamFault(err error) {
	if bad, ok := errors.AsType[*wechat.ReplyError](err); ok {
		a.handler.options.Metrics.Fault(a.Name, "upstream_reply")
		a.logNotice("upstream_reply "+string(bad.Fault), string(bad.Fault), advice{
			meaning: "the forward target answered what WeChat would not take, and WeChat got success; it may answer nothing, success or a passive reply in XML",
			setting: "forward",
		})
		return
	}
	a.handler.options.Metrics.Fault(a.Name, "upstream")
	reason := "unreachable"
	switch {
	case errors.Is(err, errUpstreamStatus):
		reason = "status"
	case errors.Is(err, errUpstreamLength):
		reason = "too_long"
	case errors.Is(err, context.DeadlineExceeded):
		reason = "timeout"
	}
	a.logNotice("upstream "+reason, reason, advice{meaning: "the forward target gave no usable answer", setting: "forward"})
}

// forwardRequest is the push as WeChat sent it, with all its query parameters and its
// body. The bot checks the signatures itself, as if WeChat had called it.
func (a *account) forwardRequest(d *delivery) (*http.Request, error) {
	u := a.upstreamBot.targetURL
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += d.request.URL.RawQuery
	req, err := http.NewRequest(http.MethodPost, u.String(), bytes.NewReader(d.body))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"Content-Type", "User-Agent"} {
		if v := d.request.Header.Get(name); v != "" {
			req.Header.Set(name, v)
		}
	}
	return req, nil
}

// sendUpstream asks the bot and returns what it answers, unchecked.
func (a *account) sendUpstream(ctx context.Context, req *http.Request, until time.Time) (verdict, error) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	res, err := a.handler.httpClient.Do(req.WithContext(ctx))
	if err != nil {
		return verdict{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxReply+1))
	switch {
	case err != nil:
		return verdict{}, err
	case res.StatusCode != http.StatusOK:
		return verdict{}, errUpstreamStatus
	case len(body) > maxReply:
		return verdict{}, errUpstreamLength
	}
	return verdict{rawReply: body, rawType: res.Header.Get("Content-Type")}, nil
}

func earlierOf(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
