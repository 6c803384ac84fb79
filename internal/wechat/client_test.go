package wechat_test

import (
	"context"
	"testing"
	"time"

	"posthouse/internal/wechat"
)

const pathToken, pathQR = "/cgi-bin/stable_token", "/cgi-bin/qrcode/create"

func TestTheClientAsksAsWeChatWants(t *testing.T) {
	t.Parallel()
	for _, slash := range []string{"", "/"} {
		s := newStub(t)
		c := s.client(t, &wechat.ClientOptions{APIBase: s.URL + "/base" + slash, MPBase: s.URL + "/mp" + slash})
		qr, err := c.CreateQRCode(t.Context(), "L1.<&>", 5*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if qr.Ticket != "gQH+/8==" || qr.URL != "http://weixin.qq.com/q/02abc" || qr.Life != 300*time.Second {
			t.Fatalf("%+v", qr)
		}
		want := `{"expire_seconds":300,"action_name":"QR_STR_SCENE","action_info":{"scene":{"scene_str":"L1.<&>"}}}` + "\n"
		if got := s.body(pathQR); got != want {
			t.Fatalf("body %q\nwant %q", got, want)
		}
		if got, want := c.ImageURL(qr.Ticket), s.URL+"/mp/cgi-bin/showqrcode?ticket=gQH%2B%2F8%3D%3D"; got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		for _, p := range s.rawPath {
			if p != "/base"+pathToken && p != "/base"+pathQR {
				t.Fatalf("asked %s", p)
			}
		}
	}
}

func TestAKilledTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	c := s.client(t, nil)
	create := func() error {
		_, err := c.CreateQRCode(context.Background(), "L1.x", time.Minute)
		return err
	}
	if err := create(); err != nil {
		t.Fatal(err)
	}
	s.kill()
	if err := create(); err != nil {
		t.Fatal(err)
	}
	if n := s.count(pathToken); n != 2 {
		t.Fatalf("%d token calls, want 2", n)
	}
}
