package callback

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"posthouse/internal/login"
	"posthouse/internal/wechat"
)

// notifyTime bounds the hint to the holder of the socket. The store is the
// truth, so a lost hint costs a moment and never the login.
const notifyTime = time.Second

// delivery is one push on its way through.
type delivery struct {
	push      *wechat.Push
	query     wechat.Query
	request   *http.Request
	body      []byte
	arrivedAt time.Time

	// Set by once, for a panic in the work:
	kind, key  string
	hasEffect  bool // it has an effect that could be lost
	afterPanic bool // an earlier delivery of the push panicked
}

// handlePush sends an opened push where it belongs.
func (a *account) handlePush(ctx context.Context, d *delivery) answer {
	m := &d.push.Message
	switch a.bindPlain(ctx, d.query, string(d.body)) {
	case bindOther:
		return answerReplay("other")
	case bindUnknown:
		return answerSilence("other")
	}
	scene, scanned := m.Scene()
	switch {
	case scanned && login.IsScene(scene) && wechat.ValidOpenID(m.From):
		return a.onceOnly(ctx, d, "login", loginTTL, func(ctx context.Context) verdict {
			v := a.claimTicket(ctx, d, func(ctx context.Context, c login.Claim) (login.Ticket, login.Outcome, error) {
				c.Scene, c.WeChat = scene, m.Ticket
				return a.handler.options.Login.Claim(ctx, c)
			})
			return a.forwardLogin(ctx, d, v)
		})
	case m.IsText() && wechat.ValidOpenID(m.From) && a.asksForCode(m.Content):
		return a.onceOnly(ctx, d, "chat code", loginTTL, func(ctx context.Context) verdict { return a.giveChatCode(ctx, d) })
	case m.IsText() && wechat.ValidOpenID(m.From):
		if do, kind := a.readTyped(d); do != nil {
			return a.onceOnly(ctx, d, kind, loginTTL, func(ctx context.Context) verdict {
				v := do(ctx)
				if !v.notOurs {
					return v
				}
				bot := a.passOn(ctx, d)
				if bot.rawReply == nil {
					bot.phrase = v.phrase
				}
				return bot
			})
		}
	case m.Is(wechat.EventUnsubscribe), m.Is(wechat.EventAuthorizationRevoke), m.Is(wechat.EventAuthorizationCancel):
		return a.onceOnly(ctx, d, "forget", otherTTL, func(ctx context.Context) verdict { return a.forgetPerson(ctx, d) })
	}
	if a.upstreamBot == nil {
		return answerSuccess("other") // nothing happens, so nothing needs to be told from its repeats
	}
	return a.onceOnly(ctx, d, "forward", otherTTL, func(ctx context.Context) verdict { return a.passOn(ctx, d) })
}

// claimTicket runs one claim and says what became of it.
func (a *account) claimTicket(ctx context.Context, d *delivery, do func(context.Context, login.Claim) (login.Ticket, login.Outcome, error)) verdict {
	t, outcome, err := do(ctx, login.Claim{
		AppID: a.AppID, OpenID: d.push.Message.From, At: d.arrivedAt, EventAt: d.push.Message.Created,
		Confirm: a.Confirm == ConfirmAlways, Risk: a.Confirm == ConfirmRisk,
	})
	return a.verdictFor(ctx, d, t, outcome, err)
}

// verdictFor turns what the login service said into an answer, and tells the holder
// of the socket when there is news for it.
func (a *account) verdictFor(ctx context.Context, d *delivery, t login.Ticket, outcome login.Outcome, err error) verdict {
	log := a.handler.options.Logger.With(slog.String("account", a.Name), slog.String("person", a.pseudonym(d.push.Message.From)))
	if err != nil {
		// The error's text may name the store's address.
		a.handler.options.Metrics.Claimed(a.Name, "error")
		log.Error("claim is stored nowhere; staying silent so that it comes again", slog.String("class", classOf(err)))
		return verdict{notStored: true}
	}
	a.handler.options.Metrics.Claimed(a.Name, string(outcome))
	log.Info("claim", slog.String("outcome", string(outcome)))
	if outcome == login.OutcomeClaimed || outcome == login.OutcomeSame {
		a.notifyHolder(ctx, t)
	}
	return verdict{phrase: phraseFor(outcome, t), aboutPage: page{t.Agent, t.Network}}
}

// classOf says for the log what kept a claim from being stored.
func classOf(err error) string {
	var file *fs.PathError
	switch {
	case errors.Is(err, login.ErrSpoolFull):
		return "spool_full"
	case errors.As(err, &file):
		return "spool_file" // reached only when the store is away as well
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "timeout"
	case errors.Is(err, login.ErrStoreUnavailable):
		return "store_unavailable"
	}
	return "other"
}

// forwardLogin lets the account's own bot hear of a login, as far as the account
// wants that. The claim is done and answered for: nothing that the bot does changes
// it, and its answer is used only where the webhook has no words of its own.
func (a *account) forwardLogin(ctx context.Context, d *delivery, v verdict) verdict {
	switch {
	case v.notStored || a.ForwardLogins == LoginsKept:
	case a.ForwardLogins == LoginsCopied, a.wordsFor(v.phrase, v.aboutPage, d.push.Message.Created) != "":
		a.copyLogin(d)
	default:
		bot := a.passOn(ctx, d)
		v.rawReply, v.rawType = bot.rawReply, bot.rawType
	}
	return v
}

func (a *account) notifyHolder(ctx context.Context, t login.Ticket) {
	if a.handler.options.Notifier == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, notifyTime)
	defer cancel()
	if err := a.handler.options.Notifier.Notify(ctx, t); err != nil {
		a.handler.options.Metrics.Fault(a.Name, "notify")
		a.handler.options.Logger.Warn("the socket's node could not be notified; it will find the result itself",
			slog.String("account", a.Name))
	}
}

// readTyped says what a text could mean to a login: nothing (nil), an answer to the
// confirm step, or a code.
func (a *account) readTyped(d *delivery) (do func(context.Context) verdict, kind string) {
	said, openID := login.ReadTyped(d.push.Message.Content), d.push.Message.From
	service := a.handler.options.Login
	// A number or a "no" that changed nothing was meant for another program: people
	// also write to the account.
	judge := func(ctx context.Context, t login.Ticket, o login.Outcome, err error) verdict {
		if err == nil && (o == login.OutcomeUnknown || !t.Moved && !t.Revoked) {
			return verdict{notOurs: true}
		}
		return a.verdictFor(ctx, d, t, o, err)
	}
	switch {
	case isNo(said.Answer):
		return func(ctx context.Context) verdict {
			t, o, err := service.Deny(ctx, a.AppID, openID, d.push.Message.Created)
			return judge(ctx, t, o, err)
		}, "confirm"
	case isNumber(said.Answer):
		return func(ctx context.Context) verdict {
			t, o, err := service.Confirm(ctx, a.AppID, openID, said.Answer, d.push.Message.Created)
			v := judge(ctx, t, o, err)
			if v.phrase == Denied {
				v.phrase = WrongNumber
			}
			return v
		}, "confirm"
	case !a.NoTypedCodes && (len(said.Codes) > 0 || said.Near):
		return func(ctx context.Context) verdict {
			t, o, err := service.ClaimCode(ctx, login.Claim{
				AppID: a.AppID, OpenID: openID, At: d.arrivedAt, EventAt: d.push.Message.Created,
				Confirm: a.Confirm == ConfirmAlways, Risk: a.Confirm == ConfirmRisk,
			}, d.push.Message.Content)
			if err == nil && o == login.OutcomeUnknown {
				v := verdict{notOurs: true}
				if said.Near {
					v.phrase = NoSuchCode
				}
				return v
			}
			return a.verdictFor(ctx, d, t, o, err)
		}, "code"
	}
	return nil, ""
}

// forgetPerson is what unfollowing and revoking an authorization demand. The bot is
// told as well.
func (a *account) forgetPerson(ctx context.Context, d *delivery) verdict {
	openID := d.push.Message.Person()
	if wechat.ValidOpenID(openID) {
		if err := a.handler.options.Login.Forget(ctx, a.AppID, openID, d.push.Message.Created); err != nil {
			a.handler.options.Metrics.Fault(a.Name, "forget")
			a.handler.options.Logger.Error("a person's data could not be deleted; staying silent so that the event comes again",
				slog.String("account", a.Name), slog.String("person", a.pseudonym(openID)))
			return verdict{notStored: true}
		}
	}
	if a.upstreamBot == nil {
		return verdict{}
	}
	return a.passOn(ctx, d)
}

func (a *account) pseudonym(openID string) string { return wechat.Pseudonym(a.logKey, openID) }

func isNo(answer string) bool {
	return answer == "不是我" || answer == "notme" || answer == "n" || answer == "no"
}

// isNumber reports whether an answer can be the number on the page.
func isNumber(answer string) bool {
	return len(answer) == 2 && strings.Trim(answer, "0123456789") == ""
}
