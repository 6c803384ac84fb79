package wxsim

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"
)

// userBody is what is left of a profile (docs/wechat.md §1.4): no name, no picture.
type userBody struct {
	Subscribe      int    `json:"subscribe"`
	OpenID         string `json:"openid"`
	Language       string `json:"language"`
	SubscribeTime  int64  `json:"subscribe_time"`
	UnionID        string `json:"unionid,omitempty"`
	Remark         string `json:"remark"`
	GroupID        int    `json:"groupid"`
	TagIDs         []int  `json:"tagid_list"`
	SubscribeScene string `json:"subscribe_scene"`
	QRScene        int    `json:"qr_scene"`
	QRSceneStr     string `json:"qr_scene_str"`
}

// strangerBody is all the platform says about a person who does not follow.
type strangerBody struct {
	Subscribe int    `json:"subscribe"`
	OpenID    string `json:"openid"`
}

func userInfo(c *apiCall) (any, *apiError) {
	q := c.r.URL.Query()
	return c.profile(q.Get("openid"), q.Get("lang"))
}

func (c *apiCall) profile(openid, lang string) (any, *apiError) {
	if len(openid) != 28 {
		return nil, errOpenID
	}
	r := c.account.byOpenID[openid]
	switch {
	case r == nil && openid[:6] != openIDOf(c.account.AppID, "")[:6]:
		return nil, errOpenID // of another account
	case r == nil:
		return nil, errNoUser
	case !r.follows:
		return strangerBody{OpenID: openid}, nil
	}
	out := userBody{
		Subscribe: 1, OpenID: openid, Language: or(lang, "zh_CN"), SubscribeTime: r.since.Unix(),
		TagIDs: []int{}, SubscribeScene: r.source,
	}
	if c.account.UnionGroup != "" {
		out.UnionID = unionIDOf(c.account.UnionGroup, r.person)
	}
	if n, err := strconv.ParseUint(r.scene, 10, 32); err == nil {
		out.QRScene = int(n)
	} else {
		out.QRSceneStr = r.scene
	}
	return out, nil
}

// maxBatch is the platform's limit of one batchget.
const maxBatch = 100

func userInfoBatch(c *apiCall) (any, *apiError) {
	var in struct {
		UserList []struct {
			OpenID string `json:"openid"`
			Lang   string `json:"lang"`
		} `json:"user_list"`
	}
	if failure := c.bind(&in); failure != nil {
		return nil, failure
	}
	if len(in.UserList) == 0 || len(in.UserList) > maxBatch {
		return nil, errArgs
	}
	users := make([]any, 0, len(in.UserList))
	for _, u := range in.UserList {
		user, failure := c.profile(u.OpenID, u.Lang)
		if failure != nil {
			return nil, failure
		}
		users = append(users, user)
	}
	return map[string]any{"user_info_list": users}, nil
}

// maxText is the longest text of a message in bytes.
const maxText = 2048

// sendCustomMessage is POST /cgi-bin/message/custom/send: only inside the
// window that the person's last action opened.
func sendCustomMessage(c *apiCall) (any, *apiError) {
	var in struct {
		ToUser  string `json:"touser"`
		MsgType string `json:"msgtype"`
		Text    struct {
			Content string `json:"content"`
		} `json:"text"`
	}
	if failure := c.bind(&in); failure != nil {
		return nil, failure
	}
	if bytes.Contains(c.body, []byte(`\u`)) {
		return nil, errCharacters // this API wants the characters themselves (docs/wechat.md §1.1)
	}
	r := c.account.byOpenID[in.ToUser]
	switch {
	case r == nil:
		return nil, errOpenID
	case in.MsgType != "text":
		return nil, errMessageType
	case in.Text.Content == "" || len(in.Text.Content) > maxText || !utf8.ValidString(in.Text.Content):
		return nil, errArgs
	case !r.follows && r.window.until.IsZero():
		return nil, errNotFollowing
	case !r.follows || !c.now.Before(r.window.until):
		return nil, errWindow
	case r.window.left == 0:
		return nil, errWindowCount
	}
	r.window.left--
	r.say(chatLine{At: time.Now(), From: "account", Kind: "custom", Text: in.Text.Content})
	c.changed()
	return success, nil
}
