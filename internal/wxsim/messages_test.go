package wxsim_test

import (
	"net/http"
	"strings"
	"testing"

	"posthouse/internal/wxsim"
)

func TestEveryKindOfMessageAndEventIsPushed(t *testing.T) {
	r := newRig(t, wxsim.Options{Accounts: []wxsim.Account{plainAccount()}})
	openid := r.ok("/people", object{"person": "eve", "follows": true})["openid"].(string)
	last := func() string { got := r.received(); return got[len(got)-1].body }
	for kind, want := range map[string]string{
		"image": "<PicUrl>", "voice": "<Format><![CDATA[amr]]>", "video": "<ThumbMediaId>", "shortvideo": "<ThumbMediaId>",
		"location": "<Location_X>31.230416</Location_X>", "link": "<Url><![CDATA[https://",
	} {
		r.ok("/message", object{"person": "eve", "type": kind})
		if body := last(); !strings.Contains(body, "<MsgType><![CDATA["+kind+"]]>") || !strings.Contains(body, want) || !strings.Contains(body, "<MsgId>") || strings.Contains(body, "<Event>") {
			t.Errorf("%s: %s", kind, body)
		}
	}
	for event, want := range map[string]string{
		"TEMPLATESENDJOBFINISH": "<MsgID>", "MASSSENDJOBFINISH": "<TotalCount>", "scancode_push": "<ScanCodeInfo><ScanType>",
		"scancode_waitmsg": "<ScanResult>", "view_miniprogram": "<MenuId>", "subscribe_msg_popup_event": "<List><TemplateId>",
		"card_pass_check": "<CardId>", "qualification_verify_success": "<ExpiredTime>",
		"user_authorization_revoke": "<OpenID><![CDATA[" + openid, "user_authorization_cancellation": "<OpenID><![CDATA[" + openid,
		"user_info_modified": "<AppID><![CDATA[" + wxsim.DevAccount().AppID, "some_day_new": "some_day_new",
	} {
		r.ok("/event", object{"person": "eve", "event": event})
		body := last()
		if !strings.Contains(body, "<Event><![CDATA["+event+"]]>") || !strings.Contains(body, want) {
			t.Errorf("%s: %s", event, body)
		}
		// Of these the person is in OpenID, and the sender is the platform.
		if about := strings.Contains(body, "<OpenID>"); about == strings.Contains(body, "<FromUserName><![CDATA["+openid) {
			t.Errorf("%s: sent by %s", event, body)
		}
	}
	for _, bad := range []object{{"person": "eve", "type": "text"}, {"person": "eve", "type": ""}, {"type": "image"}} {
		if status, _ := r.call(http.MethodPost, "/message", bad); status != http.StatusBadRequest {
			t.Errorf("%v: %d", bad, status)
		}
	}
}
