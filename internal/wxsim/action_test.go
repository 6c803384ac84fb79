package wxsim_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"posthouse/internal/wxsim"
)

func plainAccount() wxsim.Account {
	a := wxsim.DevAccount()
	a.Mode = wxsim.Plain
	return a
}

func TestStrangerScansThenFollows(t *testing.T) {
	r := newRig(t, wxsim.Options{Accounts: []wxsim.Account{plainAccount()}})
	ticket, _ := r.code("L1.scene")

	out := r.ok("/scan", object{"person": "ann", "ticket": ticket})
	if len(deliveries(out)) != 0 || deliveries(out) == nil || out["event"] != "" {
		t.Fatalf("a stranger's scan was pushed: %v", out)
	}
	if len(r.received()) != 0 {
		t.Fatal("the callback heard of it")
	}
	out = r.ok("/follow", object{"person": "ann"})
	if out["event"] != "subscribe" || len(deliveries(out)) != 1 {
		t.Fatalf("follow: %v", out)
	}
	d := deliveries(out)[0].(object)
	if d["status"] != 200.0 || d["body"] != "success" || d["url"] != r.hook.URL {
		t.Errorf("delivery %v", d)
	}
	body := r.received()[0].body
	for _, want := range []string{"<![CDATA[subscribe]]>", "<![CDATA[qrscene_L1.scene]]>", "<Ticket><![CDATA[" + ticket} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	openid := out["openid"]

	out = r.ok("/scan", object{"person": "ann", "scene": "L1.scene"})
	if out["event"] != "SCAN" || out["openid"] != openid {
		t.Errorf("second scan: %v", out)
	}
	if body := r.received()[1].body; !strings.Contains(body, "<EventKey><![CDATA[L1.scene]]>") {
		t.Errorf("SCAN has %s", body)
	}
}

func TestScanFindsACodeByTicketSceneOrURL(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	ticket, codeURL := r.code("s1")
	if !strings.HasPrefix(codeURL, r.server.URL+"/sim/q/") {
		t.Errorf("url %s", codeURL)
	}
	for _, by := range []object{{"ticket": ticket}, {"scene": "s1"}, {"url": codeURL}} {
		by["person"], by["follow"] = "bob", true
		if out := r.ok("/scan", by); len(deliveries(out)) != 1 {
			t.Errorf("%v: %v", by, out)
		}
	}
}

func TestUnknownAndExpiredCodesAnswer404(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	ticket, _ := r.code("s1")
	for _, by := range []object{{"ticket": "x"}, {"scene": "x"}, {"url": "http://x/q/y"}, {}} {
		by["person"] = "bob"
		if status, out := r.call(http.MethodPost, "/scan", by); status != 404 || out["error"] != "unknown code" {
			t.Errorf("%v: %d %v", by, status, out)
		}
	}
	r.ok("/clock?advance=301", nil)
	if status, out := r.call(http.MethodPost, "/scan", object{"person": "bob", "ticket": ticket}); status != 404 || out["error"] != "expired code" {
		t.Errorf("expired: %d %v", status, out)
	}
}

func TestPeopleAreStableAndChecked(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	other := newRig(t, wxsim.Options{Seed: 99})
	a := r.ok("/text", object{"person": "张三", "text": "hi"})["openid"].(string)
	b := other.ok("/text", object{"person": "张三", "text": "hi"})["openid"].(string)
	if a != b || len(a) != 28 {
		t.Errorf("openids %q and %q", a, b)
	}
	for _, name := range []string{"", strings.Repeat("x", 65), "a\x00b", "a\nb"} {
		if status, out := r.call(http.MethodPost, "/text", object{"person": name, "text": "hi"}); status != 400 || out["error"] == "" {
			t.Errorf("%q: %d %v", name, status, out)
		}
	}
	for _, body := range []string{"", "{", "[]", `{"person":1}`, `{"person":"a","colour":"red","text":"x"}`} {
		if status, out := r.call(http.MethodPost, "/text", body); status != 400 || out["error"] == nil {
			t.Errorf("%s: %d %v", body, status, out)
		}
	}
	if status, _ := r.call(http.MethodPost, "/text", `{"person":"`+strings.Repeat("x", 70_000)); status != 413 {
		t.Errorf("a body over 64 KiB: %d", status)
	}
}

func TestTicketHasTheTrueShape(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	ticket, codeURL := r.code("s1")
	raw, err := base64.StdEncoding.DecodeString(ticket)
	if err != nil || len(ticket) > 100 {
		t.Fatalf("ticket %s: %v", ticket, err)
	}
	if raw[0] != 0x81 || raw[1] != 1 || raw[3] != 0xf0 || raw[4] != 0x3c || int(raw[13]) != len(codeURL)+1 {
		t.Errorf("head % x", raw[:14])
	}
	if got := string(raw[14 : 14+len(codeURL)]); got != codeURL {
		t.Errorf("holds %s", got)
	}
	if raw[len(raw)-4] != 0x2c || raw[len(raw)-3] != 0x01 {
		t.Errorf("life % x", raw[len(raw)-4:])
	}
}

func TestUnfollowTextAndMenuArePushed(t *testing.T) {
	r := newRig(t, wxsim.Options{Accounts: []wxsim.Account{plainAccount()}})
	if out := r.ok("/unfollow", object{"person": "eve"}); len(deliveries(out)) != 0 {
		t.Errorf("unfollow of a stranger: %v", out)
	}
	r.ok("/follow", object{"person": "eve"})
	if out := r.ok("/follow", object{"person": "eve"}); len(deliveries(out)) != 0 {
		t.Errorf("second follow: %v", out)
	}
	r.ok("/text", object{"person": "eve", "text": "a]]>b <c>"})
	r.ok("/menu", object{"person": "eve", "key": "HELP"})
	r.ok("/menu", object{"person": "eve", "url": "https://example.test/?a=1&b=2"})
	r.ok("/location", object{"person": "eve", "latitude": 31.2, "longitude": 121.5})
	r.ok("/event", object{"person": "eve", "event": "TEMPLATESENDJOBFINISH", "fields": []object{{"name": "MsgID", "value": "7", "number": true}}})
	r.ok("/unfollow", object{"person": "eve"})
	var all strings.Builder
	for _, q := range r.received() {
		all.WriteString(q.body)
	}
	for _, want := range []string{
		"<EventKey><![CDATA[]]></EventKey>", "a]]]]><![CDATA[>b <c>", "<MsgId>249", "[CDATA[CLICK]]", "[CDATA[VIEW]]",
		"<MenuId>", "<Latitude>31.200000</Latitude>", "<MsgID>7</MsgID>", "[CDATA[unsubscribe]]",
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("nothing pushed has %s", want)
		}
	}
}
