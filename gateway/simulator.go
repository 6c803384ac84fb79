package gateway

import (
	"net/http"

	"posthouse/internal/wechat"
	"posthouse/internal/wxsim"
)

// useSimulator fills in the development account when none is configured. Unless
// a stand-alone simulator is named, one is started in this process, on the
// gateway's own port below /sim; the gateway talks to it over HTTP exactly as to
// the real platform.
func (a *App) useSimulator() error {
	external := a.config.WeChatSimulator
	if len(a.config.Accounts) > 0 && external == "" {
		return nil
	}
	base := external + "/sim"
	if external == "" {
		base = a.localURL() + "/sim"
		sim, err := wxsim.New(&wxsim.Options{BaseURL: base, Logger: a.log})
		if err != nil {
			return err
		}
		a.simulator = sim
		if err := sim.SetCallbacks(a.localURL() + "/callback/wechat"); err != nil {
			return err
		}
	}
	if len(a.config.Accounts) == 0 {
		dev := wxsim.DevAccount()
		a.config.Accounts = []Account{{
			Name: "default", AppID: dev.AppID, Secret: wechat.Secret(dev.Secret), Token: wechat.Secret(dev.Token),
			AESKey: wechat.Secret(dev.AESKey), OriginalID: dev.OriginalID, Mode: string(dev.Mode), Title: dev.Name,
			UnionID: a.config.WeChat.UnionID, WebAuth: a.config.WeChat.WebAuth,
		}}
		if err := a.config.Accounts[0].normalize(); err != nil {
			return err
		}
	}
	for i := range a.config.Accounts {
		a.config.Accounts[i].APIBase, a.config.Accounts[i].MPBase, a.config.Accounts[i].OpenBase = base, base, base
	}
	return nil
}

// phoneURL is the page of the local WeChat's phone, "" when there is none.
func (a *App) phoneURL() string {
	switch {
	case a.simulator != nil:
		return a.publicURL() + "/sim"
	case a.config.WeChatSimulator != "":
		return a.config.WeChatSimulator + "/sim"
	}
	return ""
}

// simulatorHandler serves the local WeChat; nil when there is none.
func (a *App) simulatorHandler() http.Handler {
	if a.simulator == nil {
		return nil
	}
	sim := a.simulator.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.simulator.Answers(r) { // it could sign anybody in
			http.NotFound(w, r)
			return
		}
		sim.ServeHTTP(w, r)
	})
}
