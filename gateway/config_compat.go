package gateway

import (
	"slices"
	"strings"
	"time"
)

// Compat are ways of other programs, for applications that know those (docs/oidc.md §5).
type Compat struct {
	WeChatServer *CompatWeChatServer `yaml:"wechat-server"` // nil: off
}

// CompatWeChatServer answers applications that ask a wechat-server which person a code is.
type CompatWeChatServer struct {
	TokenFile string   `yaml:"token-file"`
	Words     []string `yaml:"words"`   // default: 验证码
	Age       string   `yaml:"age"`     // of a code; default 3m
	Account   string   `yaml:"account"` // default: the first

	token Secret
	age   time.Duration
}

func (c *Config) normalizeCompat() error {
	s := c.Compat.WeChatServer
	if s == nil {
		return nil
	}
	var errs configErrors
	key := func(name string) string { return "compat.wechat-server." + name }
	errs.add(readSecret(&s.token, s.TokenFile, key("token-file")))
	if len(errs.problems) == 0 && s.token == "" {
		errs.add(keyError(key("token-file"), s.TokenFile, "name a file with the token that the application sends"))
	}
	if len(s.Words) == 0 {
		s.Words = []string{"验证码"}
	}
	for _, word := range s.Words {
		if strings.TrimSpace(word) == "" || len(word) > 64 {
			errs.add(keyError(key("words"), word, "write words of up to 64 bytes, such as 验证码"))
		}
	}
	if s.Age == "" {
		s.Age = "3m"
	}
	var err error
	if s.age, err = parseDuration(s.Age); err != nil || s.age < 10*time.Second || s.age > time.Hour {
		errs.add(keyError(key("age"), s.Age, "write a time from 10s to 1h, such as 3m"))
	}
	accounts := c.accountNames()
	if s.Account == "" {
		s.Account = accounts[0]
	}
	if !slices.Contains(accounts, s.Account) {
		errs.add(keyError(key("account"), s.Account, "name one of the accounts: "+strings.Join(accounts, ", ")))
	}
	return errs.joinErrors()
}

// accountNames are those that sections of the file may name; without any, the local
// WeChat's.
func (c *Config) accountNames() []string {
	if len(c.Accounts) == 0 {
		return []string{"default"}
	}
	names := make([]string, len(c.Accounts))
	for i, a := range c.Accounts {
		names[i] = a.Name
	}
	return names
}
