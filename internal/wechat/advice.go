package wechat

import "fmt"

// fixes says what an operator does about an errcode that only an operator can cure.
// Pages are those of mp.weixin.qq.com.
var fixes = map[int]string{
	40001: "no other program may fetch this account's access token by /cgi-bin/token; use stable_token there as well",
	40013: "set the AppID as 设置与开发 → 基本配置 shows it",
	40066: "set api-base to WeChat's host",
	40125: "set the AppSecret as 设置与开发 → 基本配置 shows it; a reset makes the old one invalid",
	40164: "add it at 设置与开发 → 基本配置 → IP白名单",
	40243: "unfreeze the AppSecret at 设置与开发 → 基本配置",
	45009: "the quota is full again at midnight in China; 设置与开发 → 接口权限 shows what is left",
	48001: "QR codes with a scene need a verified (已认证) service account; typed-code: always does without",
	48004: "the platform's notices (通知中心) say why and how to appeal",
	48006: "wait for the next month",
	48017: "set api-base to a host name, not to an address",
	50001: "grant the API at 设置与开发 → 接口权限",
	50002: "the platform's notices (通知中心) say why and how to appeal",
	89501: "an administrator confirms it in WeChat",
	89503: "an administrator confirms it in WeChat",
	89506: "add it at 设置与开发 → 基本配置 → IP白名单; after a refusal it is blocked for up to 24 hours",
	89507: "add it at 设置与开发 → 基本配置 → IP白名单; after a refusal it is blocked for an hour",
}

// Meaning says in words what WeChat's errcode means, "" without one.
func (e *Error) Meaning() string {
	switch {
	case e.Code == 0:
		return ""
	case e.Code == 40164 && e.IP.IsValid():
		return fmt.Sprintf("IP %s is not in the IP whitelist", e.IP)
	}
	return meaning(e.API, e.Code)
}

// Fix says what an operator can do about the error, "" when nothing is known.
func (e *Error) Fix() string {
	if e.API == apiToken && e.Code == 40001 {
		return fixes[40125]
	}
	return fixes[e.Code]
}

// lasting reports whether the error stays until an operator acts.
func (e *Error) lasting() bool { return e.Class == ClassConfiguration || e.Class == ClassRefresh }

// note remembers the last lasting error of an API, until a call of it succeeds. Any
// success with a token says as much of the call that fetches tokens.
func (c *Client) note(api string, err *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		delete(c.lasting, api)
		delete(c.lasting, apiToken)
	case err.lasting():
		c.lasting[api] = err
	}
}

// Problems are the errors that last until an operator acts, in a fixed order: those
// of which no later call has succeeded.
func (c *Client) Problems() []*Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*Error
	for _, api := range []string{apiToken, apiQRCode, apiUser, apiCallbackIPs, apiSend, apiQuota, apiClearQuota} {
		if e := c.lasting[api]; e != nil {
			all = append(all, e)
		}
	}
	return all
}
