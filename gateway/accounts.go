package gateway

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/callback"
	"posthouse/internal/login"
	"posthouse/internal/loglimit"
	"posthouse/internal/wechat"
)

// accounts are the Official Accounts of this gateway; the first is the one meant
// when none is named.
type accounts struct {
	inOrder []*account
	byName  map[string]*account
}

// account is one Official Account with its API client and its budget of codes.
type account struct {
	Account
	apiClient   *wechat.Client
	perMinute   *keyedRate[struct{}]
	dailyBudget *dailyBudget
	personCalls chan struct{} // questions about persons under way; see maxUserCalls

	lines      loglimit.Keyed // by reason
	spentUntil atomic.Int64   // when the day ends whose budget is used up, in seconds since 1970

	senderIPs *callback.IPList // WeChat's addresses; nil when they are not checked
}

var (
	_ login.QRCodes    = (*accounts)(nil)
	_ login.TypedCodes = (*accounts)(nil)
	_ login.UnionIDs   = (*accounts)(nil)
)

func newAccounts(cfg *Config, rdb redis.UniversalClient, m *metrics, log *slog.Logger) (*accounts, error) {
	as := &accounts{byName: map[string]*account{}}
	for _, settings := range cfg.Accounts {
		o := &wechat.ClientOptions{
			APIBase: settings.APIBase, MPBase: settings.MPBase,
			Counter: apiCounter{m, settings.Name}, Logger: log.With("account", settings.Name),
		}
		if rdb != nil {
			o.Cache = wechat.NewRedisTokenCache(rdb)
		}
		client, err := wechat.NewClient(settings.AppID, settings.Secret, o)
		if err != nil {
			return nil, err
		}
		a := &account{
			Account: settings, apiClient: client,
			perMinute:   newKeyedRate[struct{}](cfg.LimitQRCodesAccount, 0),
			dailyBudget: &dailyBudget{redisClient: rdb, appID: settings.AppID, dayLimit: cfg.QRCodesPerDay},
			personCalls: make(chan struct{}, maxUserCalls),
			lines:       loglimit.Keyed{Every: time.Minute},
		}
		as.inOrder = append(as.inOrder, a)
		as.byName[a.Name] = a
	}
	as.byName[""] = as.inOrder[0]
	return as, nil
}

// find returns the account of that name, "" meaning the first; nil when there is
// none.
func (as *accounts) find(name string) *account { return as.byName[name] }

// accountNames are those of all accounts.
func (as *accounts) accountNames() (names []string) {
	for _, a := range as.inOrder {
		names = append(names, a.Name)
	}
	return names
}

// listProblems says what an operator has to mend at WeChat, for /readyz. It names no
// secret: an address is the gateway's own.
func (as *accounts) listProblems() []string {
	var all []string
	for _, a := range as.inOrder {
		for _, e := range a.apiClient.Problems() {
			reason := "wechat account " + a.Name + ": " + e.Meaning()
			if fix := e.Fix(); fix != "" {
				reason += ": " + fix
			}
			all = append(all, reason)
		}
	}
	for _, a := range as.inOrder {
		if time.Now().Unix() < a.spentUntil.Load() {
			all = append(all, "wechat account "+a.Name+": the QR codes of today are used up: "+budgetFix)
		}
	}
	return all
}

const budgetFix = "raise POSTHOUSE_QRCODES_PER_DAY; WeChat's own limit is 100000 a day"

// noteRefusal tells the operator of codes that were not made, once a minute for each reason.
func (a *account) noteRefusal(reason, fix string, seen ...any) {
	if held, ok := a.lines.Allow(reason); ok {
		slog.Warn("gateway: no QR code", append([]any{"reason", reason, "account", a.Name, "fix", fix, "not_logged", held}, seen...)...)
	}
}

// Create implements login.QRCodes within the account's budget.
func (as *accounts) Create(ctx context.Context, name, scene string, life time.Duration) (login.QRCode, error) {
	a := as.find(name)
	if a == nil {
		return login.QRCode{}, newFailure("unknown_account", 0)
	}
	typed := login.QRCode{AppID: a.AppID, Life: life, Typed: true}
	if a.TypedCode == "always" {
		return typed, nil
	}
	if ok, wait := a.perMinute.allow(struct{}{}); !ok {
		a.noteRefusal("qrcodes_per_account", "raise POSTHOUSE_LIMIT_QRCODES_PER_ACCOUNT")
		return login.QRCode{}, newFailure("rate_limited", wait)
	}
	if !a.dailyBudget.spendOne(ctx) {
		a.spentUntil.Store(nextDay(time.Now()).Unix())
		a.noteRefusal("qrcodes_per_day", budgetFix, "limit", a.dailyBudget.dayLimit.N)
		return a.orTyped(typed, newFailure("quota_exhausted", int(time.Until(nextDay(time.Now())).Seconds())))
	}
	code, err := a.apiClient.CreateQRCode(ctx, scene, life)
	if err != nil {
		a.dailyBudget.giveBack(ctx) // the day's budget counts codes, not calls; the minute's counts calls
	}
	if err != nil && needsTypedCode(err) {
		return a.orTyped(typed, err)
	}
	if err != nil {
		return login.QRCode{}, err
	}
	return login.QRCode{
		AppID: a.AppID, Ticket: code.Ticket, URL: code.URL, ImageURL: a.apiClient.ImageURL(code.Ticket), Life: code.Life,
	}, nil
}

// TypedCode implements login.TypedCodes. It costs no QR code.
func (as *accounts) TypedCode(name string, life time.Duration) (login.QRCode, bool) {
	a := as.find(name)
	if a == nil || a.TypedCode == "off" {
		return login.QRCode{}, false
	}
	return login.QRCode{AppID: a.AppID, Life: life, Typed: true}, true
}

// orTyped offers a code to type beside the error of making a QR code.
func (a *account) orTyped(typed login.QRCode, err error) (login.QRCode, error) {
	if a.TypedCode == "fallback" {
		return typed, err
	}
	return login.QRCode{}, err
}

// errNoSceneCodes is WeChat's answer to accounts that may not make scene QR codes.
const errNoSceneCodes = 48001

// needsTypedCode tells the errors that a code to type gets around: the account
// may not make QR codes, or has made all of today's.
func needsTypedCode(err error) bool {
	var we *wechat.Error
	return errors.As(err, &we) && (we.Code == errNoSceneCodes || we.Class == wechat.ClassQuota)
}

// maxUserCalls is how many questions about persons may be under way at once: a
// quarter of the client's calls, so that a slow user/info does not keep QR codes
// from being made.
const maxUserCalls = 8

// Wanted implements login.UnionIDs.
func (as *accounts) Wanted(name string) bool {
	a := as.find(name)
	return a != nil && a.Account.UnionID == "on"
}

// UnionID implements login.UnionIDs.
func (as *accounts) UnionID(ctx context.Context, name, openID string) (string, error) {
	a := as.find(name)
	if a == nil {
		return "", newFailure("unknown_account", 0)
	}
	u, err := a.askUser(ctx, openID)
	return u.UnionID, err
}

// askUser asks WeChat for a person's data.
func (a *account) askUser(ctx context.Context, openID string) (wechat.User, error) {
	select {
	case a.personCalls <- struct{}{}:
		defer func() { <-a.personCalls }()
	case <-ctx.Done():
		return wechat.User{}, ctx.Err()
	}
	return a.apiClient.User(ctx, openID)
}

// displayTitle is the account's name as people read it.
func (a *Account) displayTitle() string {
	if a.Title != "" {
		return a.Title
	}
	return a.Name
}

// pathSuffix is what follows /callback/wechat for this account.
func (a *Account) pathSuffix() string {
	if a.Name == "default" {
		return ""
	}
	return "/" + a.Name
}

// china is where WeChat's day of quotas begins (docs/wechat.md §1.5).
var china = time.FixedZone("CST", 8*60*60)

func nextDay(now time.Time) time.Time {
	y, m, d := now.In(china).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, china)
}

// dailyBudget counts the codes of one account and day, over all replicas when
// there is Redis. It fails open: WeChat's own limit stands behind it.
type dailyBudget struct {
	redisClient redis.UniversalClient
	appID       string

	mu          sync.Mutex // guards what follows
	dayLimit    Count
	dayEnd      time.Time // the counted day ends here
	usedLocally int
}

// limit is the day's limit now.
func (b *dailyBudget) limit() Count {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dayLimit
}

// setLimit changes the day's limit.
func (b *dailyBudget) setLimit(to Count) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dayLimit = to
}

// giveBack undoes a spend for a code that was not made.
func (b *dailyBudget) giveBack(ctx context.Context) {
	if b.limit().Off {
		return
	}
	end := nextDay(time.Now())
	if b.redisClient != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		b.redisClient.Decr(ctx, b.counterKey(end)) // that fails is one code less today
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dayEnd.Equal(end) && b.usedLocally > 0 {
		b.usedLocally--
	}
}

// counterKey is the counter of the day that ends at end.
func (b *dailyBudget) counterKey(end time.Time) string {
	return "posthouse:qr:{" + b.appID + "}:" + strconv.FormatInt(end.Unix(), 10)
}

// remaining is how many codes are left today, as far as this replica knows: with Redis by
// its last spend. known is false without a limit.
func (b *dailyBudget) remaining() (left int, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	used := b.usedLocally
	if !b.dayEnd.Equal(nextDay(time.Now())) {
		used = 0
	}
	return max(b.dayLimit.N-used, 0), !b.dayLimit.Off
}

// noteUsed remembers what Redis has counted for the day that ends at end.
func (b *dailyBudget) noteUsed(end time.Time, used int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dayEnd, b.usedLocally = end, used
}

func (b *dailyBudget) spendOne(ctx context.Context) bool {
	limit := b.limit()
	if limit.Off {
		return true
	}
	end := nextDay(time.Now())
	if b.redisClient != nil {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		key := b.counterKey(end)
		n, err := b.redisClient.Incr(ctx, key).Result()
		if err != nil {
			return true
		}
		b.noteUsed(end, int(n))
		if n == 1 {
			b.redisClient.ExpireAt(ctx, key, end.Add(time.Hour))
		}
		return n <= int64(limit.N)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.dayEnd.Equal(end) {
		b.dayEnd, b.usedLocally = end, 0
	}
	b.usedLocally++
	return b.usedLocally <= limit.N
}
