package wxsim

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The other pushes that arrive at a callback (docs/wechat.md §2.9): the messages people send
// beside texts, and the events the phone page has no button for. Values are
// invented; their names and order are WeChat's.

// messageFields are the kinds of message but text, each with what WeChat puts
// between MsgType and MsgId.
var messageFields = map[string][]field{
	"image":      {{"PicUrl", "http://mmbiz.qpic.cn/sim/0", false}, {"MediaId", "sim-media", false}},
	"voice":      {{"MediaId", "sim-media", false}, {"Format", "amr", false}},
	"video":      {{"MediaId", "sim-media", false}, {"ThumbMediaId", "sim-thumb", false}},
	"shortvideo": {{"MediaId", "sim-media", false}, {"ThumbMediaId", "sim-thumb", false}},
	"location": {
		{"Location_X", "31.230416", true}, {"Location_Y", "121.473701", true}, {"Scale", "16", true}, {"Label", "People's Square", false},
	},
	"link": {{"Title", "a page", false}, {"Description", "about it", false}, {"Url", "https://example.test/", false}},
}

type messageBody struct {
	personBody
	Type string `json:"type"`
}

func (b messageBody) check() error {
	if messageFields[b.Type] == nil {
		return errors.New("type is one of " + strings.Join(slices.Sorted(maps.Keys(messageFields)), ", ") + "; a text is sent by /text")
	}
	return b.personBody.check()
}

// send is a message that is no text.
func (s *Sim) send(in messageBody) (Outcome, error) {
	return s.act(in.personBody, func(r *relation) []happening {
		r.openWindow(s.clock.now(), 48*time.Hour, 5)
		r.say(chatLine{At: time.Now(), From: "person", Kind: "text", Text: "[" + in.Type + "]"})
		h := s.happens(r, in.Type, "", "")
		h.message.kind = in.Type
		h.message.fields = append(slices.Clone(messageFields[in.Type]), s.newMsgID())
		return []happening{h}
	})
}

// newMsgID is the number of the next message. Holds s.mu.
func (s *Sim) newMsgID() field {
	s.msgID++
	return field{Name: "MsgId", Value: strconv.FormatInt(s.msgID, 10), Bare: true}
}

// eventFields is what an event without fields of its own has. The account's
// appid and the person's openid take the places of APPID and OPENID.
var eventFields = map[string][]field{
	"TEMPLATESENDJOBFINISH": {{"MsgID", "200163836", true}, {"Status", "success", false}},
	"MASSSENDJOBFINISH": {
		{"MsgID", "1000001625", true}, {"Status", "send success", false}, {"TotalCount", "1", true}, {"FilterCount", "1", true},
		{"SentCount", "1", true}, {"ErrorCount", "0", true},
	},
	"scancode_push":    {{"EventKey", "scan", false}, {"ScanCodeInfo", scanCodeInfo, true}},
	"scancode_waitmsg": {{"EventKey", "scan", false}, {"ScanCodeInfo", scanCodeInfo, true}},
	"view_miniprogram": {{"EventKey", "pages/index", false}, {"MenuId", "412345678", true}},
	"subscribe_msg_popup_event": {{"SubscribeMsgPopupEvent", "<List><TemplateId>" + cdata("sim-template") + "</TemplateId><SubscribeStatusString>" +
		cdata("accept") + "</SubscribeStatusString><PopupScene>2</PopupScene></List>", true}},
	"card_pass_check":                 {{"CardId", "sim-card", false}},
	"qualification_verify_success":    {{"ExpiredTime", "1798761600", true}},
	"user_authorization_revoke":       {{"OpenID", "OPENID", false}, {"AppID", "APPID", false}, {"RevokeInfo", "205", false}},
	"user_authorization_cancellation": {{"OpenID", "OPENID", false}, {"AppID", "APPID", false}, {"RevokeInfo", "", false}},
	"user_info_modified":              {{"OpenID", "OPENID", false}, {"AppID", "APPID", false}, {"RevokeInfo", "201", false}},
}

var scanCodeInfo = "<ScanType>" + cdata("qrcode") + "</ScanType><ScanResult>" + cdata("1") + "</ScanResult>"

// platformSender is FromUserName of events that the platform sends about a
// person.
const platformSender = "\x00the platform"

// defaultEvent fills in the fields that the caller did not name. Holds s.mu.
func defaultEvent(h *happening) {
	fields := slices.Clone(eventFields[h.event])
	for i, f := range fields {
		switch f.Value {
		case "OPENID":
			fields[i].Value = h.relation.openid
			h.message.from = openIDOf(h.account.AppID, platformSender)
		case "APPID":
			fields[i].Value = h.account.AppID
		}
	}
	h.message.fields = append(h.message.fields, fields...)
}
