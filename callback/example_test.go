package callback_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/labstack/echo/v4"

	"posthouse/callback"
)

func ExampleNew() {
	h, err := callback.New(&callback.Options{
		Accounts: []callback.Account{{
			Name: "shop", AppID: "wx1a2b3c4d5e6f7081", OriginalID: "gh_0a1b2c3d4e5f",
			Token: "simTokenForGateway2026", AESKey: "kX7mQ2vB9sT4wZ1nL6pR8cY3fJ5hD0gA2eU7iO4xN9b",
			Language: "en", Site: "Example Shop",
			Phrases:  map[callback.Phrase]string{callback.LoggedIn: callback.LoggedInEN},
			Upstream: "https://bot.example.org/wechat", // gets all that is no login
		}},
		Login:  tickets{},
		Dedupe: once{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()

	e := echo.New()
	h.Register(e.Group(""))
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/callback/wechat/shop?signature="+
		"7f4fc24f4f98718e3657e0c4809cfc402642e094&timestamp=1767225600&nonce=1029384756&echostr=6038475610293847561", nil))
	fmt.Println(w.Code, w.Body)
	// Output: 200 6038475610293847561
}

// addresses is an IPSource; a wechat.Client is the real one.
type addresses []netip.Prefix

func (a addresses) CallbackIPs(context.Context) ([]netip.Prefix, error) { return a, nil }

func ExampleIPList() {
	list := callback.NewIPList(addresses{netip.MustParsePrefix("101.226.103.0/25")}, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { list.Run(ctx); close(done) }() // asks at once, and then daily

	account := callback.Account{AppID: "wx1", Token: "t", Mode: callback.Plain, IPs: list, IPPolicy: callback.IPLog}
	fmt.Println(account.IPPolicy)

	cancel()
	<-done
	// Output: log
}
