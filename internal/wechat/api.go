package wechat

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// The paths of the APIs called; they name metrics and circuits as well.
const (
	apiToken       = "/cgi-bin/stable_token"
	apiQRCode      = "/cgi-bin/qrcode/create"
	apiUser        = "/cgi-bin/user/info"
	apiCallbackIPs = "/cgi-bin/getcallbackip"
	apiSend        = "/cgi-bin/message/custom/send"
	apiQuota       = "/cgi-bin/openapi/quota/get"
	apiClearQuota  = "/cgi-bin/clear_quota"
)

// QRCode is a temporary QR code.
type QRCode struct {
	Ticket string        // identifies it; a program that has it can show the code
	URL    string        // what the code encodes: draw this
	Life   time.Duration // how long it can be scanned; may be less than asked for
}

// CreateQRCode makes a temporary code whose scan tells scene (1 to 64
// characters). life is at most 30 days. Each call costs quota, 100 000 a day.
func (c *Client) CreateQRCode(ctx context.Context, scene string, life time.Duration) (QRCode, error) {
	if scene == "" || len(scene) > 64 || life < time.Second || life > 30*24*time.Hour {
		return QRCode{}, &Error{API: apiQRCode, Class: ClassRequest, cause: errors.New("scene or life out of range")}
	}
	type sceneStr struct {
		Text string `json:"scene_str"`
	}
	type info struct {
		Scene sceneStr `json:"scene"`
	}
	type ask struct {
		Expire int64  `json:"expire_seconds"`
		Action string `json:"action_name"`
		Info   info   `json:"action_info"`
	}
	var out struct {
		Ticket string `json:"ticket"`
		Expire int64  `json:"expire_seconds"`
		URL    string `json:"url"`
	}
	err := c.do(ctx, call{
		api: apiQRCode, method: http.MethodPost,
		body:  ask{int64(life / time.Second), "QR_STR_SCENE", info{sceneStr{scene}}},
		into:  &out,
		whole: func() bool { return out.Ticket != "" && out.URL != "" && out.Expire > 0 },
	})
	if err != nil {
		return QRCode{}, err
	}
	return QRCode{Ticket: out.Ticket, URL: out.URL, Life: time.Duration(out.Expire) * time.Second}, nil
}

// ImageURL is where WeChat shows a code's picture. Nothing is asked.
func (c *Client) ImageURL(ticket string) string {
	return c.mp + "/cgi-bin/showqrcode?ticket=" + url.QueryEscape(ticket)
}

// User is what WeChat tells of a person. Names and pictures are told of by few accounts
// since December 2021, and empty otherwise.
type User struct {
	OpenID     string
	UnionID    string // "" unless the account belongs to an Open Platform account
	Subscribed bool   // false: nothing but the openid is known
	Since      time.Time
	Channel    string // subscribe_scene, an open set
	Nickname   string
	Picture    string // an http or https URL
	Language   string // as a tag: zh-CN
}

// User asks for a person's data. Keep it out of the webhook's five seconds.
func (c *Client) User(ctx context.Context, openID string) (User, error) {
	var out struct {
		Subscribe int    `json:"subscribe"`
		OpenID    string `json:"openid"`
		UnionID   string `json:"unionid"`
		Time      int64  `json:"subscribe_time"`
		Scene     string `json:"subscribe_scene"`
		Nickname  string `json:"nickname"`
		Picture   string `json:"headimgurl"`
		Language  string `json:"language"`
	}
	err := c.do(ctx, call{
		api: apiUser, method: http.MethodGet,
		query: url.Values{"openid": {openID}, "lang": {"zh_CN"}},
		into:  &out, whole: func() bool { return out.OpenID == openID },
	})
	if err != nil {
		return User{}, err
	}
	u := User{
		OpenID: out.OpenID, UnionID: out.UnionID, Subscribed: out.Subscribe == 1, Channel: out.Scene,
		Nickname: out.Nickname, Language: strings.ReplaceAll(out.Language, "_", "-"),
	}
	if p, err := url.Parse(out.Picture); err == nil && p.Host != "" && (p.Scheme == "https" || p.Scheme == "http") {
		u.Picture = out.Picture
	}
	if out.Time > 0 {
		u.Since = time.Unix(out.Time, 0)
	}
	return u, nil
}

// CallbackIPs are the addresses WeChat pushes from. It changes; ask daily.
func (c *Client) CallbackIPs(ctx context.Context) ([]netip.Prefix, error) {
	var out struct {
		List []string `json:"ip_list"`
	}
	err := c.do(ctx, call{api: apiCallbackIPs, method: http.MethodGet, into: &out})
	if err != nil {
		return nil, err
	}
	var list []netip.Prefix
	for _, s := range out.List {
		if p, err := netip.ParsePrefix(s); err == nil {
			list = append(list, p.Masked())
		} else if a, err := netip.ParseAddr(s); err == nil {
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
		}
		// Anything else is no address we could compare.
	}
	return list, nil
}

// SendText sends a text to a person, which WeChat allows only shortly after an
// interaction: 3 in a minute after a scan or a follow. ClassWindow otherwise.
func (c *Client) SendText(ctx context.Context, openID, text string) error {
	type content struct {
		Text string `json:"content"`
	}
	type ask struct {
		To   string  `json:"touser"`
		Type string  `json:"msgtype"`
		Text content `json:"text"`
	}
	return c.do(ctx, call{
		api: apiSend, method: http.MethodPost,
		body: ask{openID, "text", content{clip(text, maxContent)}},
	})
}

// Quota is the state of an API's daily quota.
type Quota struct{ Limit, Used, Remaining int64 }

// Quota asks for the daily quota of an API by its path.
func (c *Client) Quota(ctx context.Context, path string) (Quota, error) {
	var out struct {
		Quota *struct {
			Limit  int64 `json:"daily_limit"`
			Used   int64 `json:"used"`
			Remain int64 `json:"remain"`
		} `json:"quota"`
	}
	type ask struct {
		Path string `json:"cgi_path"`
	}
	err := c.do(ctx, call{
		api: apiQuota, method: http.MethodPost, body: ask{path},
		into: &out, whole: func() bool { return out.Quota != nil },
	})
	if err != nil {
		return Quota{}, err
	}
	return Quota{out.Quota.Limit, out.Quota.Used, out.Quota.Remain}, nil
}

// ClearQuota resets all daily quotas, which WeChat allows ten times a month: an
// operator's last resort, never to be called by a program on its own.
func (c *Client) ClearQuota(ctx context.Context) error {
	type ask struct {
		AppID string `json:"appid"`
	}
	if err := c.do(ctx, call{api: apiClearQuota, method: http.MethodPost, body: ask{c.appID}}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.breakers {
		b.reset()
	}
	return nil
}
