package gateway

import (
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"posthouse/internal/oidc"
	"posthouse/internal/origin"
)

// Config is everything the gateway can be told. The tags name each setting's
// flag, environment variable (POSTHOUSE_…) and default; kong fills it from the
// three sources, in this order: flags, environment, configuration file.
type Config struct {
	Addr string     `env:"POSTHOUSE_ADDR" default:":3000" help:"Listen address: host:port, or unix:/path for a Unix socket, whose peers count as 127.0.0.1. PORT alone sets its port; a socket of systemd wins." group:"Server"`
	Port int        `env:"PORT" hidden:"" help:"Port of --addr, as hosting platforms set it."`
	Env  string     `env:"POSTHOUSE_ENV" default:"development" enum:"development,production" help:"development or production. Production refuses to start with throw-away keys." group:"Server"`
	File ConfigFile `name:"config" env:"POSTHOUSE_CONFIG" placeholder:"FILE" help:"YAML file with these settings and with several accounts." group:"Server"`

	MetricsAddr string   `env:"POSTHOUSE_METRICS_ADDR" placeholder:"HOST:PORT" help:"Separate listener for /metrics and /debug/pprof; off when empty." group:"Server"`
	Pprof       bool     `env:"POSTHOUSE_PPROF" help:"Serve /debug/pprof to every peer of --metrics-addr, not only to those on loopback." group:"Server"`
	LogLevel    string   `env:"POSTHOUSE_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error." group:"Server"`
	LogFormat   string   `env:"POSTHOUSE_LOG_FORMAT" default:"auto" enum:"auto,text,json" help:"text, json or auto: text on a terminal, else json." group:"Server"`
	Drain       Duration `env:"POSTHOUSE_DRAIN" default:"10s" help:"Longest time to close all sockets after SIGTERM." group:"Server"`
	DrainDelay  Duration `env:"POSTHOUSE_DRAIN_DELAY" default:"0s" help:"Keep serving this long after SIGTERM, not ready, before closing." group:"Server"`

	TLSCertFile   string   `name:"tls-cert-file" env:"POSTHOUSE_TLS_CERT_FILE" placeholder:"FILE" help:"PEM certificate chain; with its key the main address speaks TLS only. Read again when it changes." group:"TLS"`
	TLSKeyFile    string   `name:"tls-key-file" env:"POSTHOUSE_TLS_KEY_FILE" placeholder:"FILE" help:"PEM key of --tls-cert-file." group:"TLS"`
	ACMEHosts     []string `name:"acme-hosts" env:"POSTHOUSE_ACME_HOSTS" sep:"," placeholder:"NAME" help:"Host names that the main address gets certificates for by ACME, by TLS-ALPN-01, and by HTTP-01 with --http-addr. Setting it accepts the terms of the ACME server." group:"TLS"`
	ACMECache     string   `name:"acme-cache" env:"POSTHOUSE_ACME_CACHE" placeholder:"DIR" help:"Directory that keeps account and certificates of ACME; with Redis they are kept there, encrypted, when empty." group:"TLS"`
	ACMEEmail     string   `name:"acme-email" env:"POSTHOUSE_ACME_EMAIL" placeholder:"ADDRESS" help:"Address that the ACME server may write to." group:"TLS"`
	ACMEDirectory string   `name:"acme-directory" env:"POSTHOUSE_ACME_DIRECTORY" default:"https://acme-v02.api.letsencrypt.org/directory" help:"Directory of the ACME server." group:"TLS"`
	ACMECAFile    string   `name:"acme-ca-file" env:"POSTHOUSE_ACME_CA_FILE" placeholder:"FILE" help:"PEM certificates that the ACME server itself is judged by; those of the system when empty." group:"TLS"`

	WebTransport string `name:"webtransport" env:"POSTHOUSE_WEBTRANSPORT" default:"off" enum:"off,on" help:"WebTransport at the main address's port by UDP, which clients upgrade to: off or on. Needs TLS." group:"TLS"`

	HTTPAddr string `name:"http-addr" env:"POSTHOUSE_HTTP_ADDR" placeholder:"HOST:PORT" help:"Second address, of plain HTTP: it redirects to https and answers health checks." group:"TLS"`

	RedisURL      []string `name:"redis-url" env:"POSTHOUSE_REDIS_URL" sep:"," placeholder:"URL" help:"redis:// or rediss:// URL; several for a cluster; with ?master_name=NAME they are Sentinels. Without it everything is in memory." group:"Cluster"`
	RedisCAFile   string   `name:"redis-ca-file" env:"POSTHOUSE_REDIS_CA_FILE" placeholder:"FILE" help:"PEM certificates that servers of rediss:// are judged by; those of the system when empty." group:"Cluster"`
	RedisCertFile string   `name:"redis-cert-file" env:"POSTHOUSE_REDIS_CERT_FILE" placeholder:"FILE" help:"PEM certificate chain that this gateway shows to Redis. Read again for every connection." group:"Cluster"`
	RedisKeyFile  string   `name:"redis-key-file" env:"POSTHOUSE_REDIS_KEY_FILE" placeholder:"FILE" help:"PEM key of --redis-cert-file." group:"Cluster"`
	Adapter       string   `env:"POSTHOUSE_ADAPTER" default:"redis" enum:"redis,sharded,streams" help:"redis, sharded or streams." group:"Cluster"`
	AdapterKey    string   `env:"POSTHOUSE_ADAPTER_KEY" default:"socket.io" help:"Channel prefix, as Node's." group:"Cluster"`
	Advertise     string   `env:"POSTHOUSE_ADVERTISE" placeholder:"HOST:PORT" help:"Address other replicas reach this one at; found out when empty." group:"Cluster"`
	Replica       string   `env:"POSTHOUSE_REPLICA" placeholder:"TAG" help:"Name of this replica in session ids, for balancers that route by it: 2 to 16 letters and digits. Random when empty." group:"Cluster"`

	Origins        []string `env:"POSTHOUSE_ORIGINS" sep:"," placeholder:"ORIGIN" help:"Origins allowed beside the same one, such as https://www.example.com or capacitor://localhost." group:"Web"`
	AllowNull      bool     `name:"allow-null-origin" env:"POSTHOUSE_ALLOW_NULL_ORIGIN" help:"Dangerous: also allow the origins null and file://. Any site can send null from a sandboxed frame, so every site may then use the gateway." group:"Web"`
	RequireOrigin  bool     `env:"POSTHOUSE_REQUIRE_ORIGIN" help:"Refuse upgrades and POSTs without an Origin header." group:"Web"`
	TrustedProxies Networks `env:"POSTHOUSE_TRUSTED_PROXIES" placeholder:"CIDR,…" help:"Proxies whose X-Forwarded headers count." group:"Web"`
	SocketIOPath   string   `name:"socketio-path" env:"POSTHOUSE_SOCKETIO_PATH" default:"/socket.io" help:"Path of Socket.IO." group:"Web"`
	ReturnTo       []string `env:"POSTHOUSE_RETURN_TO" sep:"," placeholder:"URL" help:"Where the login page may send people: these URLs and what lies below them; paths of the same origin always may." group:"Web"`

	JWTKey         Secret   `name:"jwt-key" env:"POSTHOUSE_JWT_KEY" hidden:"" help:"PKCS#8 PEM (Ed25519) or hs256:<base64>."`
	JWTKeyFile     string   `name:"jwt-key-file" env:"POSTHOUSE_JWT_KEY_FILE" placeholder:"FILE" help:"File with the signing key: PKCS#8 PEM (Ed25519) or hs256:<base64 of 32 bytes or more>." group:"Tokens"`
	JWTPreviousKey []string `name:"jwt-previous-key-file" env:"POSTHOUSE_JWT_PREVIOUS_KEY_FILE" sep:"," placeholder:"FILE" help:"Older keys that stay in the JWKS." group:"Tokens"`
	JWTIssuer      string   `name:"jwt-issuer" env:"POSTHOUSE_JWT_ISSUER" default:"posthouse" help:"Claim iss." group:"Tokens"`
	JWTAudience    string   `name:"jwt-audience" env:"POSTHOUSE_JWT_AUDIENCE" default:"posthouse" help:"Claim aud." group:"Tokens"`
	JWTTTL         Duration `name:"jwt-ttl" env:"POSTHOUSE_JWT_TTL" default:"15m" help:"Life of a token." group:"Tokens"`
	Cookie         string   `env:"POSTHOUSE_COOKIE" placeholder:"NAME" help:"Also set the exchanged token as this HttpOnly cookie." group:"Tokens"`

	Issuer      string   `env:"POSTHOUSE_ISSUER" placeholder:"URL" help:"Address of this gateway as an OpenID Provider, such as https://login.example.com. Needed once the file names clients." group:"OpenID"`
	OIDCKeyFile []string `name:"oidc-key-file" env:"POSTHOUSE_OIDC_KEY_FILE" sep:"," placeholder:"FILE" help:"Files with the keys of ID tokens: PKCS#8 PEM, RSA of 2048 bits or more (RS256), EC P-256 (ES256). The first of a kind signs." group:"OpenID"`

	APIAddr    string `name:"api-addr" env:"POSTHOUSE_API_ADDR" placeholder:"HOST:PORT" help:"Separate listener for the HTTP API below /api/; the main address when empty." group:"API"`
	APIKey     Secret `name:"api-key" env:"POSTHOUSE_API_KEY" hidden:"" help:"Keys of the HTTP API, one in each line."`
	APIKeyFile string `name:"api-key-file" env:"POSTHOUSE_API_KEY_FILE" placeholder:"FILE" help:"File with the keys of the HTTP API, one in each line, each optionally limited: <key> namespaces=/app scopes=emit,read,manage. The API is off without a key." group:"API"`

	AdminUser             string `name:"admin-user" env:"POSTHOUSE_ADMIN_USER" default:"admin" help:"Name with which administrators log in to the Socket.IO Admin UI." group:"Admin"`
	AdminPasswordHash     Secret `name:"admin-password-hash" env:"POSTHOUSE_ADMIN_PASSWORD_HASH" hidden:"" help:"bcrypt hash of their password."`
	AdminPasswordHashFile string `name:"admin-password-hash-file" env:"POSTHOUSE_ADMIN_PASSWORD_HASH_FILE" placeholder:"FILE" help:"File with the bcrypt hash of their password, which posthouse admin hash makes. Without a hash the Admin UI is off." group:"Admin"`
	AdminNamespace        string `name:"admin-namespace" env:"POSTHOUSE_ADMIN_NAMESPACE" default:"/admin" help:"Namespace of administrators; the page stays at /admin/." group:"Admin"`
	AdminMode             string `name:"admin-mode" env:"POSTHOUSE_ADMIN_MODE" placeholder:"MODE" help:"development shows sockets, rooms and events, production statistics only; as POSTHOUSE_ENV when empty." group:"Admin"`
	AdminReadonly         bool   `name:"admin-readonly" env:"POSTHOUSE_ADMIN_READONLY" help:"Refuse all commands of administrators." group:"Admin"`

	TicketTTL       Duration `env:"POSTHOUSE_TICKET_TTL" default:"300s" help:"Life of a QR code that WeChat is asked for." group:"Login"`
	TokenAckTimeout Duration `env:"POSTHOUSE_TOKEN_ACK_TIMEOUT" default:"2s" help:"After this long on an open socket a token counts as delivered." group:"Login"`
	Confirm         string   `env:"POSTHOUSE_CONFIRM" default:"off" enum:"off,risk,always" help:"Ask the person to match a number before the login: off, risk (when it is from a new network or browser, or one of many) or always." group:"Login"`
	Spool           string   `env:"POSTHOUSE_SPOOL" placeholder:"FILE" help:"Local file that keeps claims while Redis is away; a file in the temporary directory by default." group:"Login"`

	WeChat          Account `embed:"" prefix:"wechat-" envprefix:"POSTHOUSE_WECHAT_" group:"WeChat"`
	WeChatSimulator string  `name:"wechat-simulator" env:"POSTHOUSE_WECHAT_SIMULATOR" placeholder:"URL" help:"Use the stand-alone simulator at this address." group:"WeChat"`

	LimitConnections     Count   `name:"limit-connections-per-ip" env:"POSTHOUSE_LIMIT_CONNECTIONS_PER_IP" default:"64" help:"Open connections per address." group:"Limits"`
	LimitHandshakes      Rate    `name:"limit-handshakes-per-ip" env:"POSTHOUSE_LIMIT_HANDSHAKES_PER_IP" default:"10/s" help:"New connections per address; three seconds' worth at once." group:"Limits"`
	LimitHandshakesNode  Rate    `name:"limit-handshakes-per-node" env:"POSTHOUSE_LIMIT_HANDSHAKES_PER_NODE" default:"500/s" help:"New connections of this replica; one second's worth at once." group:"Limits"`
	LimitQRCodesSocket   Rate    `name:"limit-qrcodes-per-socket" env:"POSTHOUSE_LIMIT_QRCODES_PER_SOCKET" default:"6/m" help:"QR codes per socket." group:"Limits"`
	LimitQRCodesBrowser  Rate    `name:"limit-qrcodes-per-browser" env:"POSTHOUSE_LIMIT_QRCODES_PER_BROWSER" default:"20/m" help:"QR codes per browser, told apart by a cookie; those without one meet the other limits." group:"Limits"`
	LimitQRCodesIP       Rate    `name:"limit-qrcodes-per-ip" env:"POSTHOUSE_LIMIT_QRCODES_PER_IP" default:"30/m" help:"QR codes per address." group:"Limits"`
	LimitQRCodesAccount  Rate    `name:"limit-qrcodes-per-account" env:"POSTHOUSE_LIMIT_QRCODES_PER_ACCOUNT" default:"600/m" help:"QR codes per account." group:"Limits"`
	QRCodesPerDay        Count   `name:"qrcodes-per-day" env:"POSTHOUSE_QRCODES_PER_DAY" default:"80000" help:"QR codes per account and day, over all replicas; WeChat's own limit is 100000." group:"Limits"`
	LimitWebhook         Count   `name:"limit-webhook" env:"POSTHOUSE_LIMIT_WEBHOOK" default:"200" help:"Pushes from WeChat per second that this replica lets in." group:"Limits"`
	LimitConnectionsNode Count   `name:"limit-connections" env:"POSTHOUSE_LIMIT_CONNECTIONS" default:"50000" help:"Open connections of this replica." group:"Limits"`
	LimitMemory          Percent `name:"limit-memory" env:"POSTHOUSE_LIMIT_MEMORY" default:"85%" help:"Share of the memory that the cgroup, or GOMEMLIMIT, allows: above it this replica takes no new connections." group:"Limits"`

	// Reread reads all settings again, from flags, environment and file, for a reload; nil: the
	// settings stay as they are. See docs/operations.md, Reload.
	Reread func() *Settings `kong:"-"`

	Accounts   []Account   `kong:"-"` // those of the file, and the one of the environment as "default"
	Namespaces []Namespace `kong:"-"` // those of the file
	Clients    []Client    `kong:"-"` // of the OpenID Provider, those of the file
	Session    Session     `kong:"-"` // of the file
	Compat     Compat      `kong:"-"` // of the file
	LoginHook  *LoginHook  `kong:"-"` // of the file; nil: off
	oidcKeys   []oidc.Key  // of OIDCKeyFile

	hasSections bool // Normalize has put the file's sections and the default account into the lists above
}

// Account is one WeChat Official Account. In the configuration file several may
// be listed under `accounts`; the one from the environment is called "default".
type Account struct {
	Name           string `kong:"-" yaml:"name"`
	AppID          string `name:"appid" env:"APPID" placeholder:"wx…" help:"AppID of the Official Account; without it a local WeChat is used." yaml:"appid"`
	Secret         Secret `env:"SECRET" hidden:"" yaml:"secret"`
	SecretFile     string `env:"SECRET_FILE" placeholder:"FILE" help:"File with the AppSecret." yaml:"secret-file"`
	Token          Secret `env:"TOKEN" hidden:"" yaml:"token"`
	TokenFile      string `env:"TOKEN_FILE" placeholder:"FILE" help:"File with the callback Token." yaml:"token-file"`
	AESKey         Secret `name:"aes-key" env:"AES_KEY" hidden:"" yaml:"aes-key"`
	AESKeyFile     string `name:"aes-key-file" env:"AES_KEY_FILE" placeholder:"FILE" help:"File with the EncodingAESKey (43 characters)." yaml:"aes-key-file"`
	PreviousToken  Secret `env:"PREVIOUS_TOKEN" hidden:"" help:"The Token before this one: accepted as well, while a change is under way." yaml:"previous-token"`
	PreviousAESKey Secret `name:"previous-aes-key" env:"PREVIOUS_AES_KEY" hidden:"" help:"The EncodingAESKey before this one, likewise." yaml:"previous-aes-key"`
	OriginalID     string `env:"ORIGINAL_ID" placeholder:"gh_…" help:"Original id of the account." yaml:"original-id"`
	Mode           string `env:"MODE" default:"secure" help:"plain, compat or secure: how WeChat pushes messages." yaml:"mode"`
	APIBase        string `name:"api-base" env:"API_BASE" default:"https://api.weixin.qq.com" help:"WeChat's API." yaml:"api-base"`
	MPBase         string `name:"mp-base" env:"MP_BASE" default:"https://mp.weixin.qq.com" help:"WeChat's QR images." yaml:"mp-base"`
	Title          string `env:"TITLE" placeholder:"NAME" help:"Name of the account as the login page shows it." yaml:"title"`
	Forward        string `env:"FORWARD" placeholder:"URL" help:"Where pushes go that are not logins." yaml:"forward"`
	ForwardLogins  string `name:"forward-logins" env:"FORWARD_LOGINS" default:"off" help:"Follows and scans that are logins go to --wechat-forward as well: off, copy (its answer is ignored) or answer (its answer is used where the gateway has none)." yaml:"forward-logins"`
	IPAllowList    string `name:"ip-allow-list" env:"IP_ALLOW_LIST" default:"off" help:"Check pushes against WeChat's addresses: off, log or enforce." yaml:"ip-allow-list"`
	TypedCode      string `env:"TYPED_CODE" default:"fallback" help:"Codes that people type into WeChat: off, fallback or always." yaml:"typed-code"`
	UnionID        string `name:"unionid" env:"UNIONID" default:"off" help:"Claim unionid, for accounts of an Open Platform account: off or on. On costs one user/info call per login." yaml:"unionid"`
	WebAuth        string `name:"web-auth" env:"WEB_AUTH" default:"off" help:"Inside WeChat, offer applications' people to sign in without a code, by web authorisation (snsapi_base): off or on. The gateway's domain must be entered on WeChat's page." yaml:"web-auth"`
	OpenBase       string `name:"open-base" env:"OPEN_BASE" default:"https://open.weixin.qq.com" help:"Where WeChat's browser goes for web authorisation." yaml:"open-base"`
	Language       string `env:"LANGUAGE" default:"zh-CN" help:"Language of what the account answers in the chat: zh-CN or en." yaml:"language"`

	// Phrases replace single sentences of the chat, by name (callback.Phrase).
	Phrases map[string]string `kong:"-" yaml:"phrases"`
}

// Production reports whether throw-away keys are refused.
func (c *Config) Production() bool { return c.Env == "production" }

// Normalize fills what follows from other settings, reads the files that hold
// secrets and checks everything. Its error joins one for each thing that is wrong,
// naming the key and the fix. ReadSettings and New call it; a second call changes nothing.
func (c *Config) Normalize() error {
	var errs configErrors
	if c.File != "" && !c.hasSections {
		accounts, err := c.File.accounts()
		errs.add(err)
		c.Accounts = append(c.Accounts, accounts...)
		namespaces, err := c.File.namespaces()
		errs.add(err)
		c.Namespaces = append(c.Namespaces, namespaces...)
		errs.add(c.File.openID(c))
	}
	if c.Port != 0 && c.Addr == ":3000" {
		c.Addr = ":" + strconv.Itoa(c.Port)
	}
	if _, port, err := net.SplitHostPort(c.Addr); (err != nil || port == "") && unixPath(c.Addr) == "" {
		errs.add(keyError("POSTHOUSE_ADDR", c.Addr, "write host:port or :port, such as :3000, or unix:/path"))
	}
	errs.add(checkTraces(), c.normalizeTLS(), c.normalizeACME(), c.normalizeWebTransport(), c.normalizeRedis(), c.normalizeWeb(), c.normalizeTokens(), c.normalizeAPI(), c.normalizeAdmin(), c.normalizeAccounts(), c.normalizeOpenID(), c.normalizeCompat(), c.LoginHook.normalize())
	if t := time.Duration(c.TicketTTL); t < time.Second || t > 30*24*time.Hour {
		errs.add(keyError("POSTHOUSE_TICKET_TTL", c.TicketTTL.String(), "WeChat allows 1 s to 30 days; 120 s to 300 s are usual"))
	}
	// The secrets are those of the other settings, which have been read by now.
	if len(c.RedisURL) > 0 && c.Advertise != "" && !isLoopback(c.Advertise) && len(relaySecrets(c)) == 0 {
		errs.add(keyError("POSTHOUSE_ADVERTISE", c.Advertise,
			"replicas on several machines prove themselves with a secret: set POSTHOUSE_JWT_KEY_FILE, the same on all of them"))
	}
	if len(c.ACMEHosts) > 0 && len(c.RedisURL) > 0 && c.ACMECache == "" && len(relaySecrets(c)) == 0 {
		errs.add(keyError("POSTHOUSE_ACME_CACHE", "", "name a directory that outlives restarts, or set POSTHOUSE_JWT_KEY_FILE, the same on all replicas: it encrypts the certificates in Redis"))
	}
	c.hasSections = true
	return errs.joinErrors()
}

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func (c *Config) normalizeRedis() error {
	for i := range c.RedisURL {
		cleanValues(&c.RedisURL[i])
	}
	c.RedisURL = slices.DeleteFunc(c.RedisURL, func(s string) bool { return s == "" })
	cleanValues(&c.Advertise, &c.Replica, &c.RedisCAFile, &c.RedisCertFile, &c.RedisKeyFile)
	var errs configErrors
	if len(c.RedisURL) > 0 {
		_, err := redisOptions(c.RedisURL, c.redisFiles())
		errs.add(err)
	} else if c.redisFiles() != (redisFiles{}) {
		errs.add(keyError("POSTHOUSE_REDIS_URL", "", "set it, or remove POSTHOUSE_REDIS_CA_FILE, POSTHOUSE_REDIS_CERT_FILE and POSTHOUSE_REDIS_KEY_FILE"))
	}
	if c.Advertise != "" {
		if _, _, err := net.SplitHostPort(c.Advertise); err != nil {
			errs.add(keyError("POSTHOUSE_ADVERTISE", c.Advertise, "write host:port"))
		}
	}
	if n := len(c.Replica); c.Replica != "" && (n < 2 || n > 16 || strings.Trim(c.Replica, alphanumeric) != "") {
		errs.add(keyError("POSTHOUSE_REPLICA", c.Replica, "use 2 to 16 letters and digits"))
	}
	return errs.joinErrors()
}

func (c *Config) normalizeWeb() error {
	var errs configErrors
	c.SocketIOPath = "/" + strings.Trim(c.SocketIOPath, "/")
	if c.SocketIOPath == "/" {
		errs.add(keyError("POSTHOUSE_SOCKETIO_PATH", "/", "name a path, such as /socket.io"))
	}
	cleanValues(&c.MetricsAddr)
	for i, o := range c.Origins {
		if origin.Opaque(strings.TrimSpace(o)) {
			errs.add(keyError("POSTHOUSE_ORIGINS", o, "sandboxed frames of every site send this origin; if you accept all of them, set POSTHOUSE_ALLOW_NULL_ORIGIN=true instead"))
			continue
		}
		clean, err := cleanOrigin(o)
		if err != nil {
			errs.add(keyError("POSTHOUSE_ORIGINS", o, "write scheme://host[:port] without a path, such as https://www.example.com; * is not allowed since credentials are"))
		}
		c.Origins[i] = clean
	}
	for i, u := range c.ReturnTo {
		clean, ok := cleanReturnPrefix(u)
		if !ok {
			errs.add(keyError("POSTHOUSE_RETURN_TO", u, "write a whole http or https URL, such as https://www.example.com/account: it and what lies below it are allowed; paths of the gateway's own origin always are"))
		}
		c.ReturnTo[i] = clean
	}
	return errs.joinErrors()
}

func (c *Config) normalizeTokens() error {
	var errs configErrors
	unread := readSecret(&c.JWTKey, c.JWTKeyFile, "POSTHOUSE_JWT_KEY_FILE")
	errs.add(unread)
	cleanValues(&c.JWTKey)
	cleanValues(&c.JWTIssuer, &c.JWTAudience, &c.Cookie)
	switch {
	case c.JWTKey != "":
		_, err := parseKeys(c.JWTKey, c.JWTPreviousKey)
		errs.add(err)
	case unread == nil && c.Production():
		errs.add(keyError("POSTHOUSE_JWT_KEY", "", "set it or POSTHOUSE_JWT_KEY_FILE: in production no throw-away key is made (openssl genpkey -algorithm ed25519)"))
	}
	errs.add(c.cleanCookie())
	if c.JWTTTL <= 0 {
		errs.add(keyError("POSTHOUSE_JWT_TTL", c.JWTTTL.String(), "give a time above 0, such as 15m"))
	}
	return errs.joinErrors()
}

func (c *Config) normalizeAPI() error {
	var errs configErrors
	errs.add(readSecret(&c.APIKey, c.APIKeyFile, "POSTHOUSE_API_KEY_FILE"))
	cleanValues(&c.APIKey)
	cleanValues(&c.APIAddr)
	if c.APIKey != "" {
		_, err := parseAPIKeys(c.APIKey)
		errs.add(err)
	}
	if c.APIAddr == "" {
		return errs.joinErrors()
	}
	if _, port, err := net.SplitHostPort(c.APIAddr); err != nil || port == "" {
		errs.add(keyError("POSTHOUSE_API_ADDR", c.APIAddr, "write host:port, such as 127.0.0.1:3001"))
	}
	if c.APIKey == "" && c.APIKeyFile == "" {
		errs.add(keyError("POSTHOUSE_API_KEY", "", "set it or POSTHOUSE_API_KEY_FILE beside POSTHOUSE_API_ADDR: the API is off without a key"))
	}
	return errs.joinErrors()
}

func (c *Config) normalizeAccounts() error {
	var errs configErrors
	cleanValues(&c.WeChatSimulator)
	if c.WeChatSimulator != "" {
		c.WeChatSimulator = strings.TrimRight(c.WeChatSimulator, "/")
		if u, err := url.Parse(c.WeChatSimulator); err != nil || u.Host == "" {
			errs.add(keyError("POSTHOUSE_WECHAT_SIMULATOR", c.WeChatSimulator, "write the simulator's address, such as http://127.0.0.1:3900"))
		}
	}
	cleanValues(&c.WeChat.AppID)
	switch {
	case c.WeChat.AppID != "" && !c.hasSections:
		c.WeChat.Name = "default"
		c.Accounts = append([]Account{c.WeChat}, c.Accounts...)
	case c.WeChat.AppID != "":
	case c.WeChat.Secret != "" || c.WeChat.Token != "" || c.WeChat.SecretFile != "":
		errs.add(keyError("POSTHOUSE_WECHAT_APPID", "", "set it beside the secret and the token"))
	case len(c.Accounts) == 0 && c.Production() && c.WeChatSimulator == "":
		errs.add(keyError("POSTHOUSE_WECHAT_APPID", "", "name an account: the local WeChat is for development"))
	}
	seen := map[string]bool{}
	for i := range c.Accounts {
		a := &c.Accounts[i]
		errs.add(a.normalize())
		if seen[a.Name] {
			errs.add(keyError("accounts["+strconv.Itoa(i)+"].name", a.Name, "give each account its own name"))
		}
		seen[a.Name] = true
	}
	return errs.joinErrors()
}

func (a *Account) normalize() error {
	key := func(name string) string { return accountKey(a.Name, name) }
	if a.Name == "" || strings.Trim(a.Name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		return keyError("accounts.name", a.Name, "use lower-case letters, digits, - and _: it is part of the callback's path")
	}
	var errs configErrors
	for _, s := range []struct {
		value *Secret
		file  string
		name  string
	}{{&a.Secret, a.SecretFile, "secret"}, {&a.Token, a.TokenFile, "token"}, {&a.AESKey, a.AESKeyFile, "aes-key"}} {
		errs.add(readSecret(s.value, s.file, key(s.name+"-file")))
	}
	if errs.add(a.cleanAccount(key)); len(errs.problems) > 0 {
		return errs.joinErrors() // what follows would say the same once more
	}
	a.setTagDefaults()
	a.APIBase, a.MPBase = strings.TrimRight(a.APIBase, "/"), strings.TrimRight(a.MPBase, "/")
	for _, check := range []struct {
		wrong            bool
		name, value, fix string
	}{
		{a.AppID == "", "appid", "", "set the account's AppID"},
		{a.Secret == "", "secret", "", "set it or " + key("secret-file")},
		{len(a.Token) < 3 || len(a.Token) > 32, "token", concealSecret(a.Token), "it has 3 to 32 letters and digits, as entered on WeChat's page"},
		{!slices.Contains([]string{"plain", "compat", "secure"}, a.Mode), "mode", a.Mode, "use plain, compat or secure"},
		{a.Mode != "plain" && len(a.AESKey) != 43, "aes-key", concealSecret(a.AESKey), "mode " + a.Mode + " needs the EncodingAESKey of 43 characters"},
		{!slices.Contains([]string{"off", "copy", "answer"}, a.ForwardLogins), "forward-logins", a.ForwardLogins, "use off, copy or answer"},
		{a.ForwardLogins != "off" && a.Forward == "", "forward", "", "set it beside " + key("forward-logins") + ": that is where logins go as well"},
		{!slices.Contains([]string{"off", "log", "enforce"}, a.IPAllowList), "ip-allow-list", a.IPAllowList, "use off, log or enforce"},
		{!slices.Contains([]string{"off", "fallback", "always"}, a.TypedCode), "typed-code", a.TypedCode, "use off, fallback or always"},
		{!slices.Contains([]string{"off", "on"}, a.UnionID), "unionid", a.UnionID, "use off or on"},
		{!slices.Contains([]string{"off", "on"}, a.WebAuth), "web-auth", a.WebAuth, "use off or on"},
		{!absoluteURL(a.OpenBase), "open-base", a.OpenBase, "write an absolute URL"},
		{!absoluteURL(a.APIBase), "api-base", a.APIBase, "write an absolute URL"},
		{!absoluteURL(a.MPBase), "mp-base", a.MPBase, "write an absolute URL"},
		{a.Forward != "" && !absoluteURL(a.Forward), "forward", a.Forward, "write an absolute URL"},
	} {
		if check.wrong {
			errs.add(keyError(key(check.name), check.value, check.fix))
		}
	}
	return errs.joinErrors()
}

// concealSecret stands for a secret in an error.
func concealSecret(s Secret) string {
	if s == "" {
		return ""
	}
	return "…"
}

func absoluteURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != ""
}

// accountKey is how the operator calls a setting of an account: the environment
// variable of the default one, else the key in the configuration file.
func accountKey(account, name string) string {
	if account == "default" {
		return "POSTHOUSE_WECHAT_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	}
	return "accounts." + account + "." + name
}

// readSecret fills value from file unless it is set already. key is the setting that
// names the file.
func readSecret(value *Secret, file, key string) error {
	if *value != "" || file == "" {
		return nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return keyError(key, file, err.Error())
	}
	*value = Secret(cleanText(string(data)))
	return nil
}
