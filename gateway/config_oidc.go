package gateway

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"posthouse/internal/oidc"
	"posthouse/internal/origin"
)

// Client is an application of the configuration file that people sign in to
// (docs/oidc.md §1).
type Client struct {
	ID                 string   `yaml:"id"`
	SecretFile         string   `yaml:"secret-file"` // "": a public client, which must use PKCE
	RedirectURIs       []string `yaml:"redirect-uris"`
	LogoutRedirectURIs []string `yaml:"logout-redirect-uris"`
	Scopes             []string `yaml:"scopes"`  // default: openid, profile
	Account            string   `yaml:"account"` // default: the first
	Name               string   `yaml:"name"`    // default: the id
	Algorithm          string   `yaml:"id-token-signed-response-alg"`
	// Claims are constants for applications that insist on a claim; {sub} is the subject.
	Claims map[string]string `yaml:"claims"`

	secret Secret
}

// Session is how long a browser stays signed in at the gateway itself.
type Session struct {
	Age string `yaml:"age"` // default 0: never

	age time.Duration
}

func (f *fileSections) readClients(node ast.Node) error {
	if node.Type() == ast.NullType {
		return nil
	}
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		return fmt.Errorf("line %d: clients is a list: write a - before each client", node.GetToken().Position.Line)
	}
	for i, node := range list.Values {
		pairs, err := mappingPairs(node)
		if err != nil {
			return err
		}
		name, line := strconv.Itoa(i), node.GetToken().Position.Line
		for j, pair := range pairs {
			if j == 0 {
				line = pair.lineNumber
			}
			if pair.key == "id" && clientID.MatchString(pair.value.GetToken().Value) {
				name = pair.value.GetToken().Value
			}
		}
		f.clients = append(f.clients, newFileSection(name, node, line))
	}
	return nil
}

// openID reads the clients and the session of the file into c. Its errors name every key
// that is wrong.
func (f ConfigFile) openID(c *Config) error {
	_, file, err := readConfigFile(string(f))
	if err != nil {
		return nil //nolint:nilerr // accounts has said so
	}
	var errs configErrors
	for _, from := range file.clients {
		var client Client
		key := func(name string) string { return strings.TrimSuffix("clients."+from.name+"."+name, ".") }
		decodeKeys(from.yamlNode, "", reflect.ValueOf(&client).Elem(), clientKeys, key, &errs)
		if client.SecretFile != "" {
			client.SecretFile = beside(filepath.Dir(string(f)), client.SecretFile)
		}
		c.Clients = append(c.Clients, client)
	}
	for _, from := range file.session {
		from.decode(&c.Session, &errs)
	}
	for _, from := range file.compat {
		from.decode(&c.Compat, &errs)
	}
	for _, from := range file.loginHook {
		c.LoginHook = &LoginHook{}
		from.decode(c.LoginHook, &errs)
		if c.LoginHook.SecretFile != "" {
			c.LoginHook.SecretFile = beside(filepath.Dir(string(f)), c.LoginHook.SecretFile)
		}
	}
	if s := c.Compat.WeChatServer; s != nil && s.TokenFile != "" {
		s.TokenFile = beside(filepath.Dir(string(f)), s.TokenFile)
	}
	return errs.joinErrors()
}

// decode reads a section that is a struct; into points to it.
func (n *fileNamespace) decode(into any, errs *configErrors) {
	key := func(name string) string { return strings.TrimSuffix(n.name+"."+name, ".") }
	if v := reflect.ValueOf(into).Elem(); n.yamlNode.Type() != ast.NullType {
		decodeKeys(n.yamlNode, "", v, keysOfType(v.Type()), key, errs)
	}
}

var clientKeys = keysOfType(reflect.TypeFor[Client]())

// clientID is what an application is called in URLs, keys and logs.
var clientID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.~-]{0,63}$`)

// normalizeOpenID checks what the OpenID Provider is told. Without clients it is off, and
// nothing is demanded.
func (c *Config) normalizeOpenID() error {
	var errs configErrors
	cleanValues(&c.Issuer)
	for i := range c.OIDCKeyFile {
		cleanValues(&c.OIDCKeyFile[i])
	}
	errs.add(c.readOIDCKeys())
	errs.add(c.Session.normalize())
	if len(c.Clients) == 0 {
		return errs.joinErrors()
	}
	errs.add(c.normalizeIssuer())
	if c.Production() && !slices.Contains(c.signingAlgorithms(), "RS256") {
		errs.add(keyError("POSTHOUSE_OIDC_KEY_FILE", strings.Join(c.OIDCKeyFile, ","),
			"name a file with an RSA key: in production no throw-away key is made (openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048)"))
	}
	seen := map[string]bool{}
	for i := range c.Clients {
		client := &c.Clients[i]
		name := client.ID
		if !clientID.MatchString(name) {
			name = strconv.Itoa(i)
		}
		key := func(part string) string { return "clients." + name + "." + part }
		errs.add(client.normalize(c, key))
		if seen[client.ID] {
			errs.add(keyError(key("id"), client.ID, "give each client its own id"))
		}
		seen[client.ID] = true
	}
	return errs.joinErrors()
}

func (s *Session) normalize() error {
	if s.Age == "" {
		return nil
	}
	var err error
	if s.age, err = parseDuration(s.Age); err != nil || s.age < 0 || s.age > 30*24*time.Hour {
		return keyError("session.age", s.Age, "write a time up to 720h, such as 8h; 0 is never")
	}
	return nil
}

func (c *Config) normalizeIssuer() error {
	c.Issuer = strings.TrimSuffix(c.Issuer, "/")
	u, err := url.Parse(c.Issuer)
	switch {
	case c.Issuer == "":
		return keyError("POSTHOUSE_ISSUER", "", "the file names clients: set the address that browsers and applications reach this gateway at, such as https://login.example.com")
	case err != nil, u.Host == "", u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil,
		u.Scheme != "https" && u.Scheme != "http":
		return keyError("POSTHOUSE_ISSUER", c.Issuer, "write scheme://host[:port] without a path, such as https://login.example.com")
	case u.Scheme == "http" && (c.Production() || !isLoopbackHost(u.Hostname())):
		return keyError("POSTHOUSE_ISSUER", c.Issuer, "use https; http is for loopback addresses in development")
	}
	return nil
}

// isLoopbackHost reports a host name or an address of this machine.
func isLoopbackHost(host string) bool { return isLoopback(host+":0") || isLoopback("["+host+"]:0") }

func (c *Config) readOIDCKeys() error {
	var errs configErrors
	c.oidcKeys = nil
	for _, file := range c.OIDCKeyFile {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) && c.File != "" { // the key of the file is relative to the file
			text, err = os.ReadFile(beside(filepath.Dir(string(c.File)), file))
		}
		if err != nil {
			errs.add(keyError("POSTHOUSE_OIDC_KEY_FILE", file, err.Error()))
			continue
		}
		keys, err := oidc.ParseKeys(cleanText(string(text)))
		if err != nil {
			errs.add(keyError("POSTHOUSE_OIDC_KEY_FILE", file, strings.TrimPrefix(err.Error(), "oidc: ")))
			continue
		}
		c.oidcKeys = append(c.oidcKeys, keys...)
	}
	return errs.joinErrors()
}

// signingAlgorithms are those that a client may ask for.
func (c *Config) signingAlgorithms() []string {
	var list []string
	for _, k := range c.oidcKeys {
		list = append(list, k.Algorithm())
	}
	if len(list) == 0 && !c.Production() {
		list = append(list, "RS256") // a throw-away key
	}
	if !strings.HasPrefix(string(c.JWTKey), "hs256:") {
		list = append(list, "EdDSA")
	}
	return list
}

func (o *Client) normalize(c *Config, key func(string) string) error {
	var errs configErrors
	if !clientID.MatchString(o.ID) {
		errs.add(keyError(key("id"), o.ID, "use up to 64 letters, digits, - _ . and ~"))
	}
	if o.SecretFile != "" {
		errs.add(readSecret(&o.secret, o.SecretFile, key("secret-file")))
		if len(errs.problems) == 0 && (o.secret == "" || c.Production() && len(o.secret) < minClientSecret) {
			errs.add(keyError(key("secret-file"), o.SecretFile, "write a secret of 16 characters or more into it, such as that of openssl rand -base64 32"))
		}
	}
	if o.Name == "" {
		o.Name = o.ID
	}
	if len(o.RedirectURIs) == 0 {
		errs.add(keyError(key("redirect-uris"), "", "name the URIs that the application gave you as its callback"))
	}
	for _, uri := range o.RedirectURIs {
		errs.add(checkRedirect(key("redirect-uris"), uri, c.Production()))
	}
	for _, uri := range o.LogoutRedirectURIs {
		errs.add(checkRedirect(key("logout-redirect-uris"), uri, c.Production()))
	}
	errs.add(o.normalizeScopes(key))
	accounts := c.accountNames()
	if o.Account == "" {
		o.Account = accounts[0]
	}
	if !slices.Contains(accounts, o.Account) {
		errs.add(keyError(key("account"), o.Account, "name one of the accounts: "+strings.Join(accounts, ", ")))
	}
	if o.Algorithm == "" {
		o.Algorithm = "RS256"
	}
	switch have := c.signingAlgorithms(); {
	case !slices.Contains([]string{"RS256", "ES256", "EdDSA"}, o.Algorithm):
		errs.add(keyError(key("id-token-signed-response-alg"), o.Algorithm, "use RS256, ES256 or EdDSA"))
	case !slices.Contains(have, o.Algorithm) && o.Algorithm == "EdDSA":
		errs.add(keyError(key("id-token-signed-response-alg"), o.Algorithm, "POSTHOUSE_JWT_KEY is a shared secret: name an Ed25519 key there, or use RS256"))
	case !slices.Contains(have, o.Algorithm) && o.Algorithm == "ES256":
		errs.add(keyError(key("id-token-signed-response-alg"), o.Algorithm, "add a file with an EC P-256 key to POSTHOUSE_OIDC_KEY_FILE, or use RS256"))
	case !slices.Contains(have, o.Algorithm) && !c.Production(): // production was told above
		errs.add(keyError(key("id-token-signed-response-alg"), o.Algorithm, "add a file with an RSA key to POSTHOUSE_OIDC_KEY_FILE"))
	}
	for name := range o.Claims {
		if oidc.ReservedClaim(name) || name == "" {
			errs.add(keyError(key("claims"), name, "the gateway makes this claim itself; name another one"))
		}
	}
	return errs.joinErrors()
}

// minClientSecret is the shortest secret of a client in production: below it, guessing pays.
const minClientSecret = 16

func (o *Client) normalizeScopes(key func(string) string) error {
	if len(o.Scopes) == 0 {
		o.Scopes = []string{"openid", "profile"}
	}
	var errs configErrors
	for _, scope := range o.Scopes {
		if !slices.Contains(oidc.Scopes, scope) {
			errs.add(keyError(key("scopes"), scope, "use "+strings.Join(oidc.Scopes, ", ")))
		}
	}
	if !slices.Contains(o.Scopes, "openid") {
		errs.add(keyError(key("scopes"), strings.Join(o.Scopes, " "), "add openid: no request is answered without it"))
	}
	return errs.joinErrors()
}

// checkRedirect refuses URIs that could not be compared safely, or lead where a code must
// not go: in production to another scheme than https, unless on this machine.
func checkRedirect(key, uri string, production bool) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil, u.Scheme == "" || strings.ContainsAny(uri, " \t\r\n\\#*"), u.User != nil,
		slices.Contains([]string{"javascript", "data", "vbscript", "file", "blob", "about"}, u.Scheme):
		return keyError(key, uri, "write a whole URI without fragment, user name and wildcards, such as https://grafana.example.com/login/generic_oauth")
	case u.Scheme == "http" && production && !isLoopbackHost(u.Hostname()):
		return keyError(key, uri, "use https; http is for loopback addresses")
	case u.Scheme == "http" || u.Scheme == "https":
		if _, err := origin.Parse(u.Scheme + "://" + u.Host); err != nil {
			return keyError(key, uri, "its host is not usable")
		}
	case !strings.Contains(u.Scheme, "."): // RFC 8252 §7.1
		return keyError(key, uri, "use https, or a scheme of your own domain reversed, such as com.example.app:/callback")
	}
	return nil
}
