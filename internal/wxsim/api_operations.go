package wxsim

import (
	"net/url"
	"strings"
)

func apiDomainIP(*apiCall) (any, *apiError) {
	return map[string]any{"ip_list": []string{"127.0.0.1"}}, nil
}

// callbackIP names where pushes come from; like the platform it mixes single
// addresses and ranges.
func callbackIP(*apiCall) (any, *apiError) {
	return map[string]any{"ip_list": []string{"127.0.0.1", "127.0.0.0/8", "::1"}}, nil
}

// checkCallbackNetwork is POST /cgi-bin/callback/check. No network is touched:
// the push log tells more than a ping.
func checkCallbackNetwork(c *apiCall) (any, *apiError) {
	var in struct {
		Action   string `json:"action"`
		Operator string `json:"check_operator"`
	}
	if failure := c.bind(&in); failure != nil {
		return nil, failure
	}
	urls := c.callbacksOf(c.account)
	if len(urls) == 0 {
		return nil, errNoCallback
	}
	switch in.Operator {
	case "CHINANET", "UNICOM", "CAP", "DEFAULT":
	default:
		return nil, errCheckOperator
	}
	var dns, ping []map[string]string
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil {
			continue
		}
		dns = append(dns, map[string]string{"ip": u.Hostname(), "real_operator": in.Operator})
		ping = append(ping, map[string]string{
			"ip": u.Hostname(), "from_operator": in.Operator, "package_loss": "0%", "time": "0.079ms",
		})
	}
	out := map[string]any{}
	switch in.Action {
	case "dns":
		out["dns"] = dns
	case "ping":
		out["ping"] = ping
	case "all":
		out["dns"], out["ping"] = dns, ping
	default:
		return nil, errCheckAction
	}
	return out, nil
}

func clearQuota(c *apiCall) (any, *apiError) {
	var in struct {
		AppID string `json:"appid"`
	}
	if failure := c.bind(&in); failure != nil {
		return nil, failure
	}
	if in.AppID != c.account.AppID {
		return nil, errAppID
	}
	return c.reset()
}

// clearQuotaBySecret takes the credentials from the query or from the body: the
// documents show both.
func clearQuotaBySecret(c *apiCall) (any, *apiError) {
	q := c.r.URL.Query()
	in := struct {
		AppID     string `json:"appid"`
		AppSecret string `json:"appsecret"`
	}{q.Get("appid"), q.Get("appsecret")}
	if in.AppID == "" {
		form, _ := url.ParseQuery(string(c.body))
		if strings.Contains(string(c.body), "{") {
			if failure := c.bind(&in); failure != nil {
				return nil, failure
			}
		} else {
			in.AppID, in.AppSecret = form.Get("appid"), form.Get("appsecret")
		}
	}
	switch {
	case in.AppID == "":
		return nil, errNoAppID
	case in.AppSecret == "":
		return nil, errNoSecret
	}
	if failure := c.proveSecret(in.AppID, in.AppSecret); failure != nil {
		return nil, failure
	}
	return c.reset()
}

func (c *apiCall) reset() (any, *apiError) {
	if failure := c.account.clears.take(c.now); failure != nil {
		return nil, failure
	}
	clear(c.account.usage)
	return success, nil
}

func quotaOf(c *apiCall) (any, *apiError) {
	var in struct {
		Path string `json:"cgi_path"`
	}
	if failure := c.bind(&in); failure != nil {
		return nil, failure
	}
	if _, ok := routeOf(in.Path); !ok {
		return nil, errArgs
	}
	limit, used := c.account.limit(in.Path), c.account.usageOf(in.Path)
	used.roll(c.now)
	return map[string]any{
		"errcode": 0, "errmsg": "ok",
		"quota": map[string]int{
			"daily_limit": max(0, limit.Daily), "used": used.daily, "remain": max(0, limit.Daily-used.daily),
		},
		"rate_limit": map[string]int{"call_count": max(0, limit.Minute), "refresh_second": 60},
	}, nil
}

func explainRid(c *apiCall) (any, *apiError) {
	var in struct {
		Rid string `json:"rid"`
	}
	if failure := c.bind(&in); failure != nil {
		return nil, failure
	}
	record, ok := c.rids[in.Rid]
	if !ok {
		return nil, errRid
	}
	return map[string]any{
		"errcode": 0, "errmsg": "ok",
		"request": map[string]any{
			"invoke_time": record.at.Unix(), "cost_in_ms": 0, "request_url": record.url,
			"request_body": "", "response_body": record.response, "client_ip": record.ip,
		},
	}, nil
}
