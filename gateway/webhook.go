package gateway

import (
	"log/slog"

	"posthouse/callback"
	"posthouse/internal/login"
	"posthouse/internal/wechat"
)

// loginStore is a store of logins that also tells pushes from their repeats.
type loginStore interface {
	login.Store
	callback.Dedupe
}

// newWebhook makes the handler of WeChat's calls for all accounts.
func newWebhook(cfg *Config, as *accounts, service callback.Login, dedupe callback.Dedupe, compat *compatServer, admit *admission, m *metrics, log *slog.Logger) (*callback.Handler, error) {
	perSecond := cfg.LimitWebhook.N
	if cfg.LimitWebhook.Off {
		perSecond = 1_000_000
	}
	o := callback.Options{
		Login: service, Dedupe: dedupe, // the service itself notifies
		Limits:   callback.Limits{PerSecond: perSecond},
		ClientIP: admit.clientIP, Metrics: webhookCounter{m}, Logger: log, SettingName: accountKey,
	}
	if compat != nil {
		o.ChatCodes = compat.giveCode
	}
	for _, a := range as.inOrder {
		hook := callback.Account{
			Name: a.Name, AppID: a.AppID, OriginalID: a.OriginalID, Mode: wechat.Mode(a.Mode),
			Token: a.Token, PreviousToken: a.PreviousToken, AESKey: a.AESKey, PreviousAESKey: a.PreviousAESKey,
			Confirm: callback.ConfirmPolicy(cfg.Confirm), Site: a.Title,
			Upstream: a.Forward, ForwardLogins: callback.LoginForwarding(a.ForwardLogins), NoTypedCodes: a.TypedCode == "off",
			IPPolicy: callback.IPPolicy(a.IPAllowList), Language: a.Language, Phrases: map[callback.Phrase]string{},
		}
		for phrase, text := range a.Phrases {
			hook.Phrases[callback.Phrase(phrase)] = text
		}
		if hook.IPPolicy != callback.IPOff {
			if a.senderIPs == nil { // a reload keeps it
				a.senderIPs = callback.NewIPList(a.apiClient, &callback.IPListOptions{Logger: log})
			}
			hook.IPs = a.senderIPs
		}
		if compat != nil && compat.settings.Account == a.Name {
			hook.CodeWords = compat.settings.Words
		}
		o.Accounts = append(o.Accounts, hook)
	}
	return callback.New(&o)
}
