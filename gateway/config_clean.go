package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
)

// cleanText drops what editors, shells and secret stores add around a value: white
// space, carriage returns and byte order marks. Values of flags, variables and files
// are cleaned alike.
func cleanText(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return r == '\ufeff' || r == '\u200b' || r <= ' ' || r == '\u00a0' || r == '\u3000' })
}

// cleanValues replaces values by their cleaned forms.
func cleanValues[T ~string](values ...*T) {
	for _, v := range values {
		*v = T(cleanText(string(*v)))
	}
}

// isPlain reports whether a value can be what a platform shows on its page: visible
// ASCII without quotes, which a shell or an env file may have left in it.
func isPlain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"'`\\", r) }) < 0
}

// cleanAccount cleans what is copied from WeChat's pages and refuses what cannot be
// such a value. It prints no secret.
func (a *Account) cleanAccount(key func(string) string) error {
	cleanValues(&a.AppID, &a.OriginalID, &a.Mode, &a.APIBase, &a.MPBase, &a.OpenBase, &a.Forward)
	cleanValues(&a.Secret, &a.Token, &a.AESKey, &a.PreviousToken, &a.PreviousAESKey)
	for _, v := range []struct{ name, value string }{
		{"appid", a.AppID}, {"secret", string(a.Secret)}, {"token", string(a.Token)}, {"aes-key", string(a.AESKey)},
		{"previous-token", string(a.PreviousToken)}, {"previous-aes-key", string(a.PreviousAESKey)}, {"original-id", a.OriginalID},
	} {
		if !isPlain(v.value) {
			return keyError(key(v.name), "…", "it holds a space, a quote or a character that is not ASCII: write the value alone, without quotes")
		}
	}
	return nil
}

// setTagDefaults gives empty fields the defaults of their tags: accounts of the file
// do not pass through the parser of flags, which fills in those of the first one.
func (a *Account) setTagDefaults() {
	v := reflect.ValueOf(a).Elem()
	for i := range v.NumField() {
		if preset, ok := v.Type().Field(i).Tag.Lookup("default"); ok && v.Field(i).Kind() == reflect.String && v.Field(i).Len() == 0 {
			v.Field(i).SetString(preset)
		}
	}
}

// cleanCookie refuses names that net/http would leave out of every answer.
func (c *Config) cleanCookie() error {
	if c.Cookie == "" {
		return nil
	}
	if err := (&http.Cookie{Name: c.Cookie, Value: "x"}).Valid(); err != nil {
		return keyError("POSTHOUSE_COOKIE", c.Cookie, "use letters, digits, - and _, such as __Host-session")
	}
	return nil
}

// isLoopback reports whether a listen address is reached from this machine only.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
