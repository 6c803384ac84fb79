package callback

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"posthouse/internal/login"
	"posthouse/internal/wechat"
)

const (
	lease         = 6 * time.Second        // longer than any one delivery is worked on
	waitTime      = 4 * time.Second        // for somebody else's work on the same push
	pollTime      = 50 * time.Millisecond  // between looks while waiting
	storeTime     = 700 * time.Millisecond // for one question to the dedupe store
	loginTTL      = 24 * time.Hour
	otherTTL      = 15 * time.Minute // longer than a push stays fresh, on both sides of now
	maxRemembered = 4 << 10          // of an upstream's reply
)

// verdict is what processing a push came to.
type verdict struct {
	notStored bool   // its effect is stored nowhere: no answer
	notOurs   bool   // for the upstream, after all
	phrase    Phrase // words for the phone; with notOurs, if the upstream has none
	aboutPage page   // that they speak of
	rawReply  []byte // an upstream's reply, passed through
	rawType   string
}

// remembered is a verdict as the dedupe store keeps it. It holds no person: the
// reply is built again for whoever the repeat is from.
type remembered struct {
	Delivery string `json:"d"` // the delivery that was processed
	Phrase   Phrase `json:"p,omitempty"`
	Page     page   `json:"w,omitzero"`
	Raw      []byte `json:"r,omitempty"`
	RawType  string `json:"t,omitempty"`
	Panicked bool   `json:"x,omitempty"` // the work on it did; it may be tried once more
}

// onceOnly processes a push at most once, across replicas, and answers its repeats:
// one that comes again as a new delivery (WeChat's retry: our first answer was
// lost) with the same words, the very same delivery (a replay) with "success".
// When the store cannot be asked, the push is processed all the same: claims and
// deletions are idempotent, and lost is worse than twice.
func (a *account) onceOnly(ctx context.Context, d *delivery, kind string, ttl time.Duration, do func(context.Context) verdict) answer {
	key := "wx:e:" + a.contentKey(d)
	d.kind, d.key, d.hasEffect = kind, key, kind != "forward"
	stage, reply := a.askStage(ctx, key, waitTime)
	if stage == login.StageDone {
		var r remembered
		bad := json.Unmarshal(reply, &r) != nil
		if d.afterPanic = r.Panicked; !d.afterPanic {
			if bad || r.Delivery == a.deliveryKey(d.query) {
				return answerReplay(kind)
			}
			ans := a.answerFor(d, kind, verdict{phrase: r.Phrase, aboutPage: r.Page, rawReply: r.Raw, rawType: r.RawType})
			ans.outcome = "repeat"
			return ans
		}
	}
	if stage == login.StageProcessing && kind == "forward" {
		return answerSuccess(kind) // the first delivery gets the bot's reply; nothing is lost
	}
	// Still StageProcessing here means that the other's answer is overdue. Its
	// effect may not be stored, so "success" has to be earned again.
	v := do(ctx)
	if v.notStored {
		return answerSilence(kind)
	}
	r := remembered{Delivery: a.deliveryKey(d.query), Phrase: v.phrase, Page: v.aboutPage}
	if len(v.rawReply) <= maxRemembered {
		r.Raw, r.RawType = v.rawReply, v.rawType
	}
	if blob, err := json.Marshal(r); err == nil {
		a.markDone(ctx, key, blob, ttl)
	}
	return a.answerFor(d, kind, v)
}

// answerFor builds the answer that a verdict means.
func (a *account) answerFor(d *delivery, kind string, v verdict) answer {
	if v.rawReply != nil {
		return answer{kind: kind, outcome: "upstream", body: v.rawReply, contentType: v.rawType}
	}
	if body, ok := d.push.Text(a.wordsFor(v.phrase, v.aboutPage, d.push.Message.Created), a.handler.options.Now()); ok {
		return answer{kind: kind, outcome: "reply", body: body, contentType: "text/xml; charset=utf-8"}
	}
	return answerSuccess(kind)
}

// askStage looks a key up, waiting a while when another replica is at it. A store that
// cannot be asked knows nothing: StageFirst.
func (a *account) askStage(ctx context.Context, key string, wait time.Duration) (login.WebhookStage, []byte) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	for {
		one, done := context.WithTimeout(ctx, storeTime)
		stage, reply, err := a.handler.options.Dedupe.Once(one, key, lease)
		done()
		if err != nil {
			a.handler.options.Metrics.Fault(a.Name, "dedupe")
			return login.StageFirst, nil
		}
		if stage != login.StageProcessing {
			return stage, reply
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return login.StageProcessing, nil
		}
	}
}

// markDone marks a key as done. That it could not be is no reason to fail: the
// effect is stored, and a repeat of it changes nothing.
func (a *account) markDone(ctx context.Context, key string, blob []byte, ttl time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	if err := a.handler.options.Dedupe.Finish(ctx, key, blob, ttl); err != nil {
		a.handler.options.Metrics.Fault(a.Name, "dedupe")
		a.handler.options.Logger.Warn("a push was processed but could not be marked so", slog.String("account", a.Name))
	}
}

// binding is what is known of a plain query's body.
type binding int

const (
	bindOK      binding = iota // this body is the query's own, or nothing can be said
	bindOther                  // the query was seen with another body
	bindUnknown                // another replica took the query and did not say with what
)

// bindPlain ties a plain push's query to its body. In plain mode the signature does
// not cover the body, so a query seen in a log could carry any other (docs/wechat.md
// §2.6): the first body seen with it is the only one. The other modes need no
// such thing.
func (a *account) bindPlain(ctx context.Context, q wechat.Query, body string) binding {
	if a.receiver.Mode() != wechat.Plain {
		return bindOK
	}
	key, content := "wx:n:"+a.deliveryKey(q), digestOf(body)
	stage, owner := a.askStage(ctx, key, 2*storeTime)
	switch {
	case stage == login.StageProcessing:
		return bindUnknown
	case stage == login.StageDone && string(owner) != content:
		return bindOther
	case stage == login.StageFirst:
		a.markDone(ctx, key, []byte(content), otherTTL)
	}
	return bindOK
}

// contentKey names what happened, whichever delivery tells it (docs/wechat.md §2.7).
func (a *account) contentKey(d *delivery) string {
	m := &d.push.Message
	_, scanned := m.Scene()
	switch {
	case m.MsgID != "" && !m.IsEvent():
		return digestOf(a.AppID, m.From, m.MsgID) // the id alone has been seen twice
	case scanned || m.Is(wechat.EventUnsubscribe):
		return digestOf(a.AppID, m.From, strconv.FormatInt(m.Created.Unix(), 10),
			strings.ToLower(m.Event), m.EventKey, m.Ticket)
	}
	// Other events differ in fields that are not ours to know: two finished
	// template messages, two places in one second.
	return digestOf(a.AppID, string(d.push.Body))
}

// deliveryKey names one delivery: WeChat's retry of the same push has another.
func (a *account) deliveryKey(q wechat.Query) string {
	return digestOf(a.AppID, q.Timestamp, q.Nonce, q.Signature, q.MsgSignature)
}

func digestOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p)) + ":" + p)) // no two lists hash alike
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
