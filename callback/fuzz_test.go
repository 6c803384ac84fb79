package callback_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"posthouse/callback"
	"posthouse/internal/wechat"
)

// FuzzPush: whatever is inside a properly signed push, the answer is one WeChat
// takes or an empty refusal, and every claim is of a person of good shape.
func FuzzPush(f *testing.F) {
	f.Add(scan(alice), true)
	f.Add(event(alice, "subscribe", "qrscene_"+scene, time.Now()), false)
	f.Add(text(alice, "47", 1), true)
	f.Add(event(alice, "unsubscribe", "", time.Now()), true)
	f.Add(`{"ToUserName":"`+original+`","FromUserName":"oA","CreateTime":1,"MsgType":"event","Event":"SCAN","EventKey":"`+scene+`"}`, false)
	f.Add("<!DOCTYPE x><xml/>", false)
	f.Fuzz(func(t *testing.T, body string, encrypted bool) {
		if len(body) > 40<<10 {
			return
		}
		y := &typist{outcome: "unknown"}
		r := newRig(t, func(o *callback.Options) {
			partsOf(o).typist, partsOf(o).people = y, &people{}
			if !encrypted {
				o.Accounts[0].Mode = wechat.Plain
			}
		})
		req := request(body, time.Now())
		if encrypted {
			req = secure(body)
		}
		got := r.send(req)
		switch {
		case got.aborted:
			t.Fatal("no answer")
		case got.status == http.StatusOK && (got.body == "success" || strings.HasPrefix(got.body, "<xml>")):
		case (got.status == http.StatusBadRequest || got.status == http.StatusForbidden) && got.body == "":
		default:
			t.Fatalf("%d %q", got.status, got.body)
		}
		for _, c := range r.claims.made() {
			if !wechat.ValidOpenID(c.OpenID) || len(c.Scene) != len(scene) || c.AppID != appID {
				t.Fatalf("%+v", c)
			}
		}
		if n := len(r.counts.all()); n > 4 {
			t.Fatalf("%v", r.counts.all())
		}
	})
}
