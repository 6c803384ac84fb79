package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"time"

	"posthouse/callback"
	"posthouse/socketio/api"
)

// settingsAge is how often the files of the settings are looked at.
const settingsAge = 5 * time.Second

// watchSettings takes changed settings over, on SIGHUP and when a file of theirs changes.
func (a *App) watchSettings(ctx context.Context) {
	defer signal.Stop(a.hangup)
	tick := time.NewTicker(settingsAge)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.hangup:
		case <-tick.C:
			if a.settings.filesPrint() == a.settingsPrint {
				continue
			}
		}
		done := notifyReloading()
		a.settingsPrint = a.settings.filesPrint() // before the files are read: a change after it is another one
		a.settings = a.reload(a.settings, a.config.Reread())
		done()
	}
}

// filesPrint is what the files of the settings that a reload takes hold, as a hash.
func (s *Settings) filesPrint() string {
	h := sha256.New()
	files := append([]string{string(s.Config.File), s.Config.APIKeyFile}, namespaceFiles(s.Config.File, s.Config.Namespaces)...)
	for _, file := range files {
		data, _ := os.ReadFile(file) // one that is gone is a change
		h.Write(data)
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// reloadable are the settings that reload takes, beside the texts of accounts.
var reloadable = map[string]bool{
	"origins": true, "allow-null-origin": true, "require-origin": true, "log-level": true, "api-key": true, "api-key-file": true,
	"limit-connections-per-ip": true, "limit-handshakes-per-ip": true, "limit-handshakes-per-node": true, "limit-connections": true, "limit-memory": true,
	"limit-qrcodes-per-socket": true, "limit-qrcodes-per-browser": true, "limit-qrcodes-per-ip": true, "limit-qrcodes-per-account": true,
	"qrcodes-per-day": true, "limit-webhook": true,
}

// accountTexts are the settings of an account that reload takes.
var accountTexts = []string{"title", "language", "phrases"}

// reload takes the settings of next that can change while people are connected, and names
// those that wait for a restart. Settings with an error change nothing. It returns what is
// in force then: next, or before.
func (a *App) reload(before, next *Settings) *Settings {
	if problems := next.Problems(); len(problems) > 0 {
		a.log.Error("gateway: the settings stay as they were", "wrong", strings.Join(problems, " | "), "fix", "posthouse config check names all lines")
		return before
	}
	taken, waiting, changes := a.compareSettings(before, next)
	if before.Config.APIKey == "" != (next.Config.APIKey == "") { // routes do not come and go
		taken = slices.DeleteFunc(taken, func(name string) bool {
			keys := name == "api-key" || name == "api-key-file"
			if keys {
				waiting = append(waiting, name)
			}
			return keys
		})
	}
	if err := a.applySettings(&next.Config, changes); err != nil {
		a.log.Error("gateway: the settings stay as they were", "wrong", err)
		return before
	}
	a.log.Info("gateway: settings read again", "taken", taken)
	if len(waiting) > 0 {
		a.log.Warn("gateway: these settings need a restart", "restart", waiting)
	}
	return next
}

// compareSettings names what differs: what a reload takes, and what it cannot.
func (a *App) compareSettings(before, next *Settings) (taken, waiting []string, changes []namespaceChange) {
	note := func(name string, canChange bool) {
		if canChange {
			taken = append(taken, name)
		} else {
			waiting = append(waiting, name)
		}
	}
	for i, set := range next.settings {
		if !reflect.DeepEqual(before.settings[i].flag.Target.Interface(), set.flag.Target.Interface()) &&
			!strings.HasPrefix(set.flag.Name, "wechat-") { // those are the account "default" below
			note(set.flag.Name, reloadable[set.flag.Name])
		}
	}
	was, is := map[string]Account{}, map[string]Account{}
	for _, account := range before.Config.Accounts {
		was[account.Name] = account
	}
	for _, account := range next.Config.Accounts {
		is[account.Name] = account
		if _, known := was[account.Name]; !known {
			note("accounts."+account.Name, false)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if _, known := is[name]; !known {
			note("accounts."+name, false)
			continue
		}
		old, now := reflect.ValueOf(was[name]), reflect.ValueOf(is[name])
		for i := range old.NumField() {
			if !reflect.DeepEqual(old.Field(i).Interface(), now.Field(i).Interface()) {
				key := old.Type().Field(i).Tag.Get("yaml")
				note("accounts."+name+"."+key, slices.Contains(accountTexts, key))
			}
		}
	}
	otherSections(&before.Config, &next.Config, note)
	changes = a.compareNamespaces(next.Config.Namespaces, note)
	slices.Sort(taken)
	slices.Sort(waiting)
	return taken, waiting, changes
}

// applySettings makes everything that can fail first, and changes what runs then.
func (a *App) applySettings(c *Config, changes []namespaceChange) error {
	var namespaceSteps []func() error
	for i := range changes {
		apply, err := a.prepareNamespace(&changes[i])
		if err != nil {
			return err
		}
		namespaceSteps = append(namespaceSteps, apply)
	}
	var newAPI *api.Handler
	if a.api.Load() != nil && c.APIKey != "" && c.APIKey != a.config.APIKey {
		var err error
		if newAPI, err = a.newAPIHandler(c.APIKey); err != nil {
			return err
		}
	}
	texts := map[string]Account{}
	for _, account := range c.Accounts {
		texts[account.Name] = account
	}
	renamed := &accounts{}
	for _, known := range a.accounts.inOrder {
		copied := &account{Account: known.Account, apiClient: known.apiClient, senderIPs: known.senderIPs} // as much as a webhook needs
		if text, ok := texts[known.Name]; ok {
			copied.Title, copied.Language, copied.Phrases = text.Title, text.Language, text.Phrases
		}
		renamed.inOrder = append(renamed.inOrder, copied)
	}
	limits := *c
	limits.Confirm = a.config.Confirm
	webhook, err := newWebhook(&limits, renamed, a.traces.login(a.loginService), a.loginStore, a.compat, a.admission, a.metrics, a.log)
	if err != nil {
		return err
	}

	for _, apply := range namespaceSteps {
		if err := apply(); err != nil {
			a.log.Error("gateway: a namespace was not changed", "error", err) // a bug: prepareNamespace has tried it
		}
	}
	if len(changes) > 0 {
		a.traces.knowEvents(a.namespaces.inForce())
	}
	if newAPI != nil {
		a.api.Store(newAPI)
		a.config.APIKey = c.APIKey
	}
	a.replaceWebhook(webhook)
	pages := pageAccounts(renamed)
	a.pages.reloaded.Store(&pages)
	if h, ok := a.log.Handler().(leveledHandler); ok {
		_ = h.level.UnmarshalText([]byte(c.LogLevel)) // checked by the configuration
	}
	a.admission.origins.reloaded.Store(&originPolicy{allowedOrigins: c.Origins, allowOpaque: c.AllowNull, requireOrigin: c.RequireOrigin})
	a.setLimits(c)
	return nil
}

// replaceWebhook lets the handler before it finish its copies of pushes.
func (a *App) replaceWebhook(h *callback.Handler) {
	a.webhookHandler.Swap(h).Close()
}

func (a *App) setLimits(c *Config) {
	a.admission.handshakes.setRate(c.LimitHandshakes, 3*c.LimitHandshakes.N)
	a.admission.perIP.setCount(c.LimitConnections)
	a.admission.tcpConns.setCount(tcpCount(c))
	a.admission.setNodeLimits(c)
	a.loginNamespace.exchangeRate.setRate(c.LimitHandshakes, 3*c.LimitHandshakes.N)
	codes := &a.loginNamespace.codeLimits
	codes.perSocket.setRate(c.LimitQRCodesSocket, 0)
	codes.perBrowser.setRate(c.LimitQRCodesBrowser, 0)
	codes.perIP.setRate(c.LimitQRCodesIP, 0)
	a.pages.drawingRate.setRate(drawingRate(c), 0)
	for _, account := range a.accounts.inOrder {
		account.perMinute.setRate(c.LimitQRCodesAccount, 0)
		account.dailyBudget.setLimit(c.QRCodesPerDay)
	}
}

// drawingRate allows two pictures for each code: the page's and one to save.
func drawingRate(c *Config) Rate {
	images := c.LimitQRCodesIP
	images.N *= 2
	return images
}
