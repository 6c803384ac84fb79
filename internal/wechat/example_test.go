package wechat_test

import (
	"context"
	"fmt"
	"time"

	"posthouse/internal/wechat"
)

func ExampleReceiver() {
	r, err := wechat.NewReceiver(&wechat.ReceiverOptions{Token: "simTokenForGateway2026", Mode: wechat.Plain})
	if err != nil {
		fmt.Println(err)
		return
	}
	q, err := wechat.ParseQuery("signature=2de0f96351e3ab914f4ad7a48cf74e952f5f8d18&timestamp=1767225662&nonce=556677889")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := r.Check(q, time.Unix(1767225662, 0)); err != nil {
		fmt.Println(err)
		return
	}
	push, err := r.Open(q, []byte(`<xml><ToUserName>gh_0a1b2c3d4e5f</ToUserName><FromUserName>oAlice</FromUserName>`+
		`<CreateTime>1767225662</CreateTime><MsgType>event</MsgType><Event>subscribe</Event>`+
		`<EventKey>qrscene_L1.q7Yx2Jm0T4uVb9cZkE8sNw</EventKey></xml>`))
	if err != nil {
		fmt.Println(err)
		return
	}
	scene, ok := push.Message.Scene()
	fmt.Println(push.Message.Person(), scene, ok)
	// Output: oAlice L1.q7Yx2Jm0T4uVb9cZkE8sNw true
}

func ExampleClient() {
	// The base URLs may be a proxy's or a simulator's; the default is WeChat.
	c, err := wechat.NewClient("wx1a2b3c4d5e6f7081", "the AppSecret", &wechat.ClientOptions{
		APIBase: "http://127.0.0.1:3900/sim", MPBase: "http://127.0.0.1:3900/sim/",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Println(c.ImageURL("gQH+/8=="))

	login := func(ctx context.Context) error {
		qr, err := c.CreateQRCode(ctx, "L1.q7Yx2Jm0T4uVb9cZkE8sNw", 5*time.Minute)
		switch wechat.ClassOf(err) {
		case wechat.ClassQuota:
			return fmt.Errorf("no codes until tomorrow: %w", err)
		case wechat.ClassRetry:
			return fmt.Errorf("try again: %w", err)
		}
		fmt.Println(qr.URL)
		return err
	}
	_ = login
	// Output: http://127.0.0.1:3900/sim/cgi-bin/showqrcode?ticket=gQH%2B%2F8%3D%3D
}

func ExampleSecret() {
	s := wechat.Secret("wx-app-secret")
	fmt.Printf("%s %v %q %d\n", s, s, s, s)
	fmt.Println(s.Reveal() == "wx-app-secret")
	// Output:
	// *** *** *** ***
	// true
}

func ExampleAESKey() {
	k, err := wechat.ParseAESKey("kX7mQ2vB9sT4wZ1nL6pR8cY3fJ5hD0gA2eU7iO4xN9b")
	if err != nil {
		fmt.Println(err)
		return
	}
	sealed := k.Seal([]byte("<xml/>"), "wx1a2b3c4d5e6f7081")
	opened, err := k.Open(sealed, "wx1a2b3c4d5e6f7081")
	fmt.Println(string(opened), err)
	_, err = k.Open(sealed, "wxffffffffffffffff")
	fmt.Println(err)
	// Output:
	// <xml/> <nil>
	// wechat: envelope is for another appid
}

func ExamplePseudonym() {
	fmt.Println(wechat.Pseudonym("a key all replicas share", "oSIM0uAbCdEfGhIjKlMnOpQrStUv"))
	// Output: cd178ef2de22
}
