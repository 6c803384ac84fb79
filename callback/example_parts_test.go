package callback_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"posthouse/callback"
)

// tickets is a login service; the gateway has a real one.
type tickets struct{}

func (tickets) Claim(ctx context.Context, c callback.Claim) (callback.Ticket, callback.Outcome, error) {
	// Only a claim that is durable may return a nil error.
	var state callback.State = callback.Done
	return callback.Ticket{State: state}, callback.OutcomeClaimed, nil
}

func (tickets) ClaimCode(ctx context.Context, c callback.Claim, code string) (callback.Ticket, callback.Outcome, error) {
	return callback.Ticket{}, callback.OutcomeUnknown, nil // the text was no code
}

func (tickets) Confirm(ctx context.Context, appID, openID, number string, at time.Time) (callback.Ticket, callback.Outcome, error) {
	return callback.Ticket{}, callback.OutcomeUnknown, nil // nothing was asked
}

func (tickets) Deny(ctx context.Context, appID, openID string, at time.Time) (callback.Ticket, callback.Outcome, error) {
	return callback.Ticket{}, callback.OutcomeUnknown, nil
}

func (tickets) Forget(ctx context.Context, appID, openID string, at time.Time) error { return nil }

// once lets every push through; the gateway has a store.
type once struct{}

func (once) Once(context.Context, string, time.Duration) (callback.Stage, []byte, error) {
	return callback.StageFirst, nil, nil
}

func (once) Finish(context.Context, string, []byte, time.Duration) error { return nil }

// silent tells no replica: all browsers are here.
type silent struct{}

func (silent) Notify(context.Context, callback.Ticket) error { return nil }

// printed prints what happens; the gateway gives it to Prometheus.
type printed struct{}

func (printed) Answered(account, kind, answer string, took time.Duration) {
	fmt.Println(kind, answer)
}
func (printed) Refused(account, reason string)  { fmt.Println("refused:", reason) }
func (printed) Claimed(account, outcome string) { fmt.Println("claim:", outcome) }
func (printed) Fault(account, what string)      { fmt.Println("fault:", what) }

// All parts, and an answer to a peer that is not WeChat.
func ExampleHandler() {
	var (
		login    callback.Login    = tickets{}
		dedupe   callback.Dedupe   = once{}
		notifier callback.Notifier = silent{}
		metrics  callback.Metrics  = printed{}
	)
	const (
		token callback.Secret = "simTokenForGateway2026" // no log shows it
		mode  callback.Mode   = callback.Plain           // as WeChat's console says
	)
	var h *callback.Handler
	h, err := callback.New(&callback.Options{
		Accounts: []callback.Account{{AppID: "wx1a2b3c4d5e6f7081", Token: token, Mode: mode}},
		Login:    login, Dedupe: dedupe, Notifier: notifier, Metrics: metrics,
		Limits: callback.Limits{PerSecond: 50},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()

	w := httptest.NewRecorder()
	h.Account(callback.DefaultAccount).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/callback/wechat", nil))
	fmt.Println(w.Code, w.Body.Len())
	// Output:
	// refused: query
	// 403 0
}

func ExampleNewIPList() {
	var source callback.IPSource = addresses(nil) // WeChat gives an empty list
	list := callback.NewIPList(source, &callback.IPListOptions{Every: time.Hour})
	fmt.Println(list.Refresh(context.Background())) // an empty answer keeps what was known
	// The last refuses pushes of others, though none while the list is empty.
	fmt.Println([]callback.IPPolicy{callback.IPOff, callback.IPLog, callback.IPEnforce})
	// Output:
	// <nil>
	// [off log enforce]
}

// Persons are asked only where a login is unusual: a network or browser that they
// have not used, or many logins at once.
func ExampleConfirmPolicy() {
	account := callback.Account{
		Name: "shop", AppID: "wx1a2b3c4d5e6f7081", Token: "simTokenForGateway2026",
		AESKey:  "kX7mQ2vB9sT4wZ1nL6pR8cY3fJ5hD0gA2eU7iO4xN9b",
		Confirm: callback.ConfirmRisk,
	}
	h, err := callback.New(&callback.Options{Accounts: []callback.Account{account}, Login: tickets{}, Dedupe: once{}})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	fmt.Println(account.Confirm)
	// Output: risk
}

// The account's own bot also hears of the people who follow by a login's code, and
// greets them where the webhook says nothing.
func ExampleLoginForwarding() {
	account := callback.Account{
		AppID: "wx1a2b3c4d5e6f7081", Token: "simTokenForGateway2026", Mode: callback.Plain,
		Upstream: "https://bot.example.org/wechat", ForwardLogins: callback.LoginsAnswered,
		Phrases: map[callback.Phrase]string{callback.NoSuchCode: "no such code"},
	}
	h, err := callback.New(&callback.Options{Accounts: []callback.Account{account}, Login: tickets{}, Dedupe: once{}})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	fmt.Println([]callback.LoginForwarding{callback.LoginsKept, callback.LoginsCopied, account.ForwardLogins})
	// Output: [off copy answer]
}
