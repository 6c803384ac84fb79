package gateway

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"posthouse/adapter"
)

// newRelay makes what relays requests between replicas.
func (a *App) newRelay() (*adapter.Relay, error) {
	secrets := relaySecrets(&a.config)
	relay, err := adapter.NewRelay(a.redisClient, &adapter.RelayOptions{
		Tag: a.replicaName, Advertise: a.advertisedAddr(len(secrets) == 0), Secrets: secrets,
		Path: a.config.SocketIOPath + "/", Key: a.config.AdapterKey, Logger: a.log,
		OnPeer: func(r *http.Request) { a.admission.notePeer(r) }, // which is made later
	})
	if err != nil {
		return nil, keyError("POSTHOUSE_REPLICA", a.replicaName, err.Error())
	}
	return relay, nil
}

// advertisedAddr is where other replicas reach this one: as configured, or the listen
// address, or for a wildcard the first address of this machine that others may see;
// its loopback address when there are no others, for want of a secret.
func (a *App) advertisedAddr(alone bool) string {
	if a.config.Advertise != "" {
		return a.config.Advertise
	}
	addr := tcpAddr(a.plainListener())
	if !addr.IP.IsUnspecified() && (addr.IP.IsLoopback() || !alone) {
		return addr.String()
	}
	host := "127.0.0.1"
	if all, err := net.InterfaceAddrs(); err == nil && !alone {
		for _, n := range all {
			if ip, ok := n.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
				host = ip.IP.String()
				break
			}
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(addr.Port))
}

// maxKeySecrets bounds how many of the signing keys count, the newest first.
const maxKeySecrets = 4

// relaySecrets are what replicas prove themselves to each other with
// (docs/reliability.md §4 row 41). No setting of its own is needed: the signing keys
// and the AppSecrets are the same on all replicas, and unknown to Redis. Each is a
// secret by itself, so that one may be changed while replicas restart one by one.
// Only without any of them does the password of Redis serve. None at all, in
// development, leaves the replicas of one machine.
func relaySecrets(c *Config) (secrets [][]byte) {
	add := func(kind, text string) {
		if text != "" {
			// The kind in front: one text in two settings is still two secrets, and a
			// short one is long enough to be taken.
			secrets = append(secrets, []byte("posthouse "+kind+" "+text))
		}
	}
	for i, key := range keyTexts(c.JWTKey.Reveal()) {
		if i < maxKeySecrets {
			add("jwt-key", key)
		}
	}
	for _, a := range c.Accounts {
		if len(secrets) < maxKeySecrets+2 {
			add("wechat-secret", a.AppID+" "+a.Secret.Reveal())
		}
	}
	if len(secrets) > 0 {
		return secrets
	}
	for _, raw := range c.RedisURL {
		if u, err := url.Parse(raw); err == nil {
			if password, ok := u.User.Password(); ok {
				add("redis-password", password)
				return secrets
			}
		}
	}
	return nil
}

// keyTexts splits a key file into its keys (see login.ParseKeys).
func keyTexts(text string) (keys []string) {
	rest := strings.TrimSpace(strings.ReplaceAll(text, `\n`, "\n"))
	for rest != "" {
		if strings.HasPrefix(rest, "hs256:") {
			var line string
			line, rest, _ = strings.Cut(rest, "\n")
			keys = append(keys, strings.TrimSpace(line))
		} else {
			block, after := pem.Decode([]byte(rest))
			if block == nil {
				return keys // the issuer says what is wrong with it
			}
			keys = append(keys, string(block.Bytes))
			rest = string(after)
		}
		rest = strings.TrimSpace(rest)
	}
	return keys
}
