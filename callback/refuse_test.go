package callback_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"posthouse/callback"
	"posthouse/internal/wechat"
)

// envelope encrypts whatever bytes are given, well-formed or not.
func envelope(box []byte) string {
	key, err := base64.StdEncoding.DecodeString(aesKey + "=")
	if err != nil {
		panic(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	out := make([]byte, len(box))
	cipher.NewCBCEncrypter(block, key[:16]).CryptBlocks(out, box)
	return base64.StdEncoding.EncodeToString(out)
}

func padded(b []byte) []byte {
	n := 32 - len(b)%32
	return append(b, bytes.Repeat([]byte{byte(n)}, n)...)
}

// signedEnvelope is a push with both signatures right over any Encrypt text.
func signedEnvelope(encrypt string) *http.Request {
	r := request("<xml><ToUserName>"+original+"</ToUserName><Encrypt><![CDATA["+encrypt+"]]></Encrypt></xml>", time.Now())
	q := r.URL.Query()
	q.Set("encrypt_type", "aes")
	q.Set("msg_signature", wechat.Sign(token, q.Get("timestamp"), q.Get("nonce"), encrypt))
	r.URL.RawQuery = q.Encode()
	return r
}

func with(r *http.Request, change func(url.Values)) *http.Request {
	q := r.URL.Query()
	change(q)
	r.URL.RawQuery = q.Encode()
	return r
}

// docs/reliability.md §4 row 29: whatever is not WeChat's gets one and the same answer, and no reason
// in it (no padding oracle).
func TestPush_EveryForgedPushGetsTheSameEmpty403(t *testing.T) {
	t.Parallel()
	long := binary.BigEndian.AppendUint32(make([]byte, 16), 0xfffffff0)
	k, err := wechat.ParseAESKey("OtherKeyOtherKeyOtherKeyOtherKeyOtherKeyOth")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]*http.Request{
		"no query at all":       httptest.NewRequest(http.MethodPost, "/callback/wechat", strings.NewReader(scan(alice))),
		"no signature":          with(secure(scan(alice)), func(q url.Values) { q.Del("signature") }),
		"a short signature":     with(secure(scan(alice)), func(q url.Values) { q.Set("signature", q.Get("signature")[:8]) }),
		"a wrong signature":     with(secure(scan(alice)), func(q url.Values) { q.Set("signature", strings.Repeat("a", 40)) }),
		"an upper-case one":     with(secure(scan(alice)), func(q url.Values) { q.Set("signature", strings.ToUpper(q.Get("signature"))) }),
		"a signature twice":     with(secure(scan(alice)), func(q url.Values) { q.Add("signature", "x") }),
		"no msg_signature":      with(secure(scan(alice)), func(q url.Values) { q.Del("msg_signature") }),
		"a wrong msg_signature": with(secure(scan(alice)), func(q url.Values) { q.Set("msg_signature", q.Get("signature")) }),
		"no nonce":              with(secure(scan(alice)), func(q url.Values) { q.Del("nonce") }),
		"plain to a secure one": request(scan(alice), time.Now()),
		"raw to a secure one":   with(request(scan(alice), time.Now()), func(q url.Values) { q.Set("encrypt_type", "raw") }),
		"an odd encrypt_type":   with(secure(scan(alice)), func(q url.Values) { q.Set("encrypt_type", "des") }),
		"aes without Encrypt": with(request(scan(alice), time.Now()), func(q url.Values) {
			q.Set("encrypt_type", "aes")
			q.Set("msg_signature", q.Get("signature"))
		}),
		"six minutes old":         sealed(aesKey, appID, scan(alice), time.Now().Add(-6*time.Minute)),
		"six minutes ahead":       sealed(aesKey, appID, scan(alice), time.Now().Add(6*time.Minute)),
		"another account's appid": sealed(aesKey, "wxffffffffffffffff", scan(alice), time.Now()),
		"another key":             signedEnvelope(k.Seal([]byte(scan(alice)), appID)),
		"bad padding":             signedEnvelope(envelope(bytes.Repeat([]byte{65}, 64))),
		"mixed padding":           signedEnvelope(envelope(append(make([]byte, 62), 1, 2))),
		"nothing but padding":     signedEnvelope(envelope(bytes.Repeat([]byte{32}, 32))),
		"length beyond the end":   signedEnvelope(envelope(padded(long))),
		"half a block":            signedEnvelope(base64.StdEncoding.EncodeToString(make([]byte, 48))),
		"no base64":               signedEnvelope("%%%%"),
		"inside to another": sealed(aesKey, appID,
			strings.Replace(scan(alice), original, "gh_ffffffffffff", 1), time.Now()),
		"a huge query": with(secure(scan(alice)), func(q url.Values) { q.Set("x", strings.Repeat("x", 4096)) }),
	}
	r := newRig(t, nil)
	var first http.Header
	began := time.Now()
	for name, req := range cases {
		got := r.send(req)
		if got.status != http.StatusForbidden || got.body != "" {
			t.Errorf("%s: %d %q, want an empty 403", name, got.status, got.body)
		}
		if first == nil {
			first = got.header
		}
		if fmt.Sprint(got.header) != fmt.Sprint(first) {
			t.Errorf("%s: headers %v differ from %v", name, got.header, first)
		}
	}
	if each := time.Since(began) / time.Duration(len(cases)); each > 5*time.Millisecond {
		t.Errorf("a forged push costs %v", each)
	}
	if n := len(r.claims.made()); n != 0 {
		t.Errorf("%d claims", n)
	}
}

// The mode is pinned: a plain account takes nothing that says it is encrypted,
// or the flag would decide which check applies.
//
// docs/reliability.md §4 row 29
func TestPush_PlainAccountTakesNoEncryptedPush(t *testing.T) {
	t.Parallel()
	r := newRig(t, plain)
	flagged := with(request(scan(alice), time.Now()), func(q url.Values) {
		q.Set("encrypt_type", "aes")
		q.Set("msg_signature", q.Get("signature"))
	})
	for _, req := range []*http.Request{flagged, secure(scan(alice))} {
		if got := r.send(req); got.status != http.StatusForbidden || got.body != "" || len(r.claims.made()) != 0 {
			t.Errorf("%+v", got)
		}
	}
}

// A push is for the account that it is addressed to, outside and inside.
func TestPush_ForAnotherAccountIsRefused(t *testing.T) {
	t.Parallel()
	const other = "gh_ffffffffffff"
	inside := strings.Replace(scan(alice), original, other, 1)
	// Without a configured original id, the outside must still agree.
	r := newRig(t, func(o *callback.Options) { o.Accounts[0].OriginalID = "" })
	if got := r.send(sealed(aesKey, appID, inside, time.Now())); got.status != http.StatusForbidden {
		t.Errorf("outside and inside differ: %+v", got)
	}
	// With one, agreeing with each other is not enough.
	r = newRig(t, nil)
	req := sealed(aesKey, appID, inside, time.Now())
	if got := r.send(again(req, strings.Replace(readBody(req), original, other, 1))); got.status != http.StatusForbidden {
		t.Errorf("both are another's: %+v", got)
	}
	if n := len(r.claims.made()); n != 0 {
		t.Errorf("%d claims", n)
	}
}

// docs/reliability.md §4 row 32: an error answer to a signed push counts against the
// account, so only a DOCTYPE gets one.
func TestPush_Unreadable_IsAnsweredSuccessButDoctype400(t *testing.T) {
	t.Parallel()
	good := scan(alice)
	cases := map[string]string{
		"nothing":             "",
		"text":                "hello",
		"another root":        "<yml></yml>",
		"no fields":           "<xml></xml>",
		"cut off":             good[:len(good)-20],
		"two roots":           good + good,
		"text behind":         good + "x",
		"a DOCTYPE":           "<!DOCTYPE xml>" + good,
		"billion laughs":      `<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><xml><ToUserName>&b;</ToUserName></xml>`,
		"an external entity":  `<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd">` + good,
		"unknown entity":      strings.Replace(good, "<CreateTime>", "<CreateTime>&e;", 1),
		"depth":               "<xml>" + strings.Repeat("<a>", 6000) + strings.Repeat("</a>", 6000) + "</xml>",
		"many attributes":     "<xml" + strings.Repeat(` a="1"`, 7000) + "></xml>",
		"sender twice":        strings.Replace(good, "<CreateTime>", "<FromUserName>"+bob+"</FromUserName><CreateTime>", 1),
		"Encrypt twice":       strings.Replace(good, "<CreateTime>", "<Encrypt>a</Encrypt><Encrypt>b</Encrypt><CreateTime>", 1),
		"a comment":           strings.Replace(good, alice, alice[:9]+"]]><!-- --><![CDATA["+alice[9:], 1),
		"an element inside":   strings.Replace(good, "<CreateTime>", "<CreateTime><b/>", 1),
		"an instruction":      strings.Replace(good, "<CreateTime>", "<?php x ?><CreateTime>", 1),
		"no time":             strings.Replace(good, "<CreateTime>", "<CreateTime>soon", 1),
		"a default namespace": strings.Replace(good, "<xml>", `<xml xmlns="http://example.org/">`, 1),
		"broken JSON":         `{"ToUserName":`,
		"JSON twice":          `{"ToUserName":"a","ToUserName":"b"}`,
		"deep JSON":           `{"a":` + strings.Repeat("[", 3000) + strings.Repeat("]", 3000) + `}`,
	}
	r, p := newRig(t, nil), newRig(t, plain)
	for name, body := range cases {
		want, answer := http.StatusOK, "success"
		if strings.HasPrefix(body, "<!DOCTYPE") {
			want, answer = http.StatusBadRequest, ""
		}
		if got := p.send(request(body, time.Now())); got.status != want || got.body != answer {
			t.Errorf("plain, %s: %d %q, want %d %q", name, got.status, got.body, want, answer)
		}
		// The same inside a good envelope.
		if got := r.send(secure(body)); got.status != want || got.body != answer {
			t.Errorf("secure, %s: %d %q, want %d %q", name, got.status, got.body, want, answer)
		}
	}
	if n := len(r.claims.made()) + len(p.claims.made()); n != 0 {
		t.Errorf("%d claims", n)
	}
	if n := r.counts.of("fault default unreadable"); n != len(cases)-3 {
		t.Errorf("%d of %d counted as unreadable", n, len(cases)-3)
	}
	if n := strings.Count(r.log.String(), `"reason":"unreadable"`); n != 1 {
		t.Errorf("%d lines say that pushes cannot be read, want one a minute:\n%s", n, r.log)
	}
	// Two Encrypt elements outside: nothing says which is signed.
	req := secure(good)
	raw, _ := io.ReadAll(req.Body)
	twice := strings.Replace(string(raw), "<Encrypt>", "<Encrypt>x</Encrypt><Encrypt>", 1)
	if got := r.send(again(req, twice)); got.status != http.StatusOK || got.body != "success" || len(r.claims.made()) != 0 {
		t.Errorf("two Encrypt: %+v", got)
	}
}

// docs/reliability.md §4 row 33: the account that is meant stands in the signed XML only.
func TestPush_OpenIDOfTheQueryIsIgnored(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	// request() puts bob into ?openid=; the scan is alice's.
	req := with(secure(scan(alice)), func(q url.Values) { q.Set("ToUserName", "gh_ffffffffffff"); q.Set("FromUserName", bob) })
	if got := r.send(req); got.status != http.StatusOK {
		t.Fatal(got.status)
	}
	if c := r.claims.made(); len(c) != 1 || c[0].OpenID != alice {
		t.Fatalf("%+v", c)
	}
	// In compat mode the readable copy is signed by nothing: it may say what it
	// likes.
	r = newRig(t, func(o *callback.Options) { o.Accounts[0].Mode = wechat.Compat })
	req = secure(scan(alice))
	raw, _ := io.ReadAll(req.Body)
	forged := strings.Replace(string(raw), "<Encrypt>", "<FromUserName>"+bob+"</FromUserName><EventKey>L1.x</EventKey><Encrypt>", 1)
	if got := r.send(again(req, forged)); got.status != http.StatusOK {
		t.Fatal(got.status)
	}
	if c := r.claims.made(); len(c) != 1 || c[0].OpenID != alice || c[0].Scene != scene {
		t.Fatalf("%+v", c)
	}
}

// docs/reliability.md §3 row F22: our clock or WeChat's may be off by up to five minutes, to the second.
//
// docs/reliability.md §4 row 30
func TestPush_TimestampOutsideTheFreshnessWindowIsRefused(t *testing.T) {
	t.Parallel()
	now := time.Unix(1767225675, 0)
	for offset, want := range map[time.Duration]int{
		-300 * time.Second: 200, -301 * time.Second: 403, 0: 200,
		300 * time.Second: 200, 301 * time.Second: 403, -time.Hour: 403, 24 * time.Hour: 403,
	} {
		r := newRig(t, func(o *callback.Options) { o.Now = func() time.Time { return now } })
		if got := r.send(sealed(aesKey, appID, scan(alice), now.Add(offset))); got.status != want {
			t.Errorf("%v: %d, want %d", offset, got.status, want)
		}
		// A wrong clock locks all pushes out, so it has to be seen.
		if stale := want == 403; stale != strings.Contains(r.log.String(), "is the clock right?") {
			t.Errorf("%v: log %q", offset, r.log)
		}
	}
}

// docs/reliability.md §4 row 31
func TestPush_BodyOver64KiBIs413(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	big := "<xml>" + strings.Repeat(" ", 64<<10) + "</xml>"
	if got := r.send(secure(big)); got.status != http.StatusRequestEntityTooLarge || got.body != "" {
		t.Errorf("with its length: %d %q", got.status, got.body)
	}
	req := request(big, time.Now())
	req = with(req, func(q url.Values) { q.Set("encrypt_type", "aes"); q.Set("msg_signature", "x") })
	req.ContentLength = -1
	if got := r.send(req); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("chunked: %d", got.status)
	}
	// No unknown peer gets to send that much.
	req = with(req, func(q url.Values) { q.Set("signature", "x") })
	req.Body = io.NopCloser(failingReader{t})
	if got := r.send(req); got.status != http.StatusForbidden {
		t.Errorf("unsigned: %d", got.status)
	}
}

type failingReader struct{ t *testing.T }

func (f failingReader) Read([]byte) (int, error) {
	f.t.Error("the body of an unsigned push was read")
	return 0, io.EOF
}

// docs/reliability.md §4 row 31: a flood costs its own budget only.
func TestPush_FloodOfForgeriesLeavesWeChatAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *callback.Options) { o.Limits.PerSecond = 10 })
		count := map[int]int{}
		for range 100 {
			got := r.send(with(secure(scan(alice)), func(q url.Values) { q.Set("signature", "x") }))
			count[got.status]++
			if got.status == 429 && (got.header.Get("Retry-After") != "1" || got.body != "") {
				t.Fatalf("%v %q", got.header, got.body)
			}
		}
		if count[403] != 20 || count[429] != 80 {
			t.Errorf("%v, want 20 refused and 80 shed", count)
		}
		start := time.Now()
		if got := r.send(secure(scan(alice))); got.status != 200 || time.Since(start) != 0 {
			t.Errorf("WeChat got %d after %v", got.status, time.Since(start))
		}
	})
}

// docs/reliability.md §4 row 31
func TestPush_FloodOfSignedPushesQueuesThenSheds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *callback.Options) { o.Limits.PerSecond = 10 })
		start := time.Now()
		done := make(chan int)
		for range 50 {
			go func() { done <- r.send(secure(event(alice, "VIEW", "", time.Now()))).status }()
		}
		count := map[int]int{}
		for range 50 {
			count[<-done]++
		}
		// 20 at once, 5 more within the half second that one may wait.
		if count[200] != 25 || count[429] != 25 {
			t.Errorf("%v", count)
		}
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

// docs/reliability.md §4 row 31
func TestPush_BulkheadIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *callback.Options) { o.Limits.InFlight = 2 })
		r.dedupe.slow = 300 * time.Millisecond
		done := make(chan result)
		for range 5 {
			go func() { done <- r.send(secure(scan(alice))) }()
		}
		count := map[int]int{}
		for range 5 {
			got := <-done
			count[got.status]++
			if got.status == 503 && got.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
		if count[200] != 2 || count[503] != 3 {
			t.Errorf("%v", count)
		}
		if got := r.send(secure(scan(bob))); got.status != 200 {
			t.Errorf("a slot was lost: %d", got.status)
		}
	})
}

// docs/reliability.md §4 row 42: no label depends on what is sent.
func TestMetrics_LabelsComeFromClosedSets(t *testing.T) {
	t.Parallel()
	r := newRig(t, plain)
	e := echo.New()
	r.Register(e.Group(""))
	for i := range 100 {
		x := fmt.Sprintf("x%d\n\x1b\u2028", i)
		for _, body := range []string{event(alice, x, x, time.Now()), strings.Replace(scan(alice), "event", x, 1), x} {
			r.send(request(body, time.Now()))
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/callback/wechat/"+url.PathEscape(x), nil))
		if w.Code != http.StatusNotFound || w.Body.Len() != 0 {
			t.Fatalf("unknown account: %d %q", w.Code, w.Body)
		}
	}
	if n := len(r.counts.all()); n > 20 {
		t.Errorf("%d series: %v", n, r.counts.all())
	}
}

func TestIPLists(t *testing.T) {
	t.Parallel()
	listed, other := netip.MustParseAddr("106.55.206.146"), netip.MustParseAddr("::ffff:9.9.9.9")
	source := ipSource{netip.MustParsePrefix("106.55.206.0/24")}
	for _, c := range []struct {
		policy callback.IPPolicy
		known  bool
		from   netip.Addr
		status int
		seen   int
	}{
		{callback.IPOff, true, other, 200, 0},
		{callback.IPLog, true, other, 200, 1},
		{callback.IPEnforce, true, other, 403, 1},
		{callback.IPEnforce, true, listed, 200, 0},
		{callback.IPEnforce, false, other, 200, 1}, // nothing known: only logged
	} {
		file := t.TempDir() + "/ips.json"
		list := callback.NewIPList(source, &callback.IPListOptions{File: file})
		if c.known {
			if err := list.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			list = callback.NewIPList(ipSource(nil), &callback.IPListOptions{File: file}) // from the file
			if err := list.Refresh(t.Context()); err != nil {                             // an empty answer changes nothing
				t.Fatal(err)
			}
		}
		r := newRig(t, func(o *callback.Options) {
			o.Accounts[0].IPPolicy, o.Accounts[0].IPs = c.policy, list
			o.ClientIP = func(*http.Request) netip.Addr { return c.from }
		})
		if got := r.send(secure(scan(alice))); got.status != c.status {
			t.Errorf("%+v: %d", c, got.status)
		}
		if n := r.counts.of("fault default ip_unlisted"); n != c.seen {
			t.Errorf("%+v: seen %d", c, n)
		}
		r.send(secure(scan(bob)))
		if n := strings.Count(r.log.String(), `"reason":"ip"`); n != min(c.seen, 1) || n > 0 && !strings.Contains(r.log.String(), `"seen":"`+c.from.String()) {
			t.Errorf("%+v: %d lines for two pushes:\n%s", c, n, r.log)
		}
	}
}

type ipSource []netip.Prefix

func (s ipSource) CallbackIPs(context.Context) ([]netip.Prefix, error) { return s, nil }
