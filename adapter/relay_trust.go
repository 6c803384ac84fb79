package adapter

import (
	"bufio"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"posthouse/internal/randid"
)

// Redis says where a replica lives, but is not believed alone: a writer of Redis
// must not be able to send requests of this process anywhere. An owner's entry is
// signed, and a connection carries requests only once the other end has proved that
// it is the replica of that tag at that address (docs/reliability.md §4 row 41).

const (
	// relayHeader marks what replicas say to each other. Its value is one of
	//
	//	hello <nonce>         asks for a proof; the answer's header holds it
	//	relay <from> <macs>   a relayed request
	//	brief <from> <macs>   a relayed request of a replica that drains
	//	release <from> <macs> answer the poll of this session now, the relay ends
	relayHeader = "X-Posthouse-Relay"
	minSecret   = 16
	maxSecrets  = 8
	maxEntry    = 1024
	// proofTimeout is for a replica that is busy: its sessions are not lost before.
	proofTimeout = 10 * time.Second
	maxHelloHead = 8 << 10
	// A connection that a busy owner refuses is tried again, at first after crowdedPause,
	// for crowdedPatience.
	crowdedPause    = 20 * time.Millisecond
	crowdedPatience = 2 * time.Second
)

const (
	markHello   = "hello"
	markRelay   = "relay"
	markBrief   = "brief"
	markRelease = "release"
)

// errUntrusted means that the process at an owner's address is not that owner.
var errUntrusted = errors.New("adapter: no proof of being the replica")

// errCrowded means that the process at an owner's address takes no connection at
// present. Nothing says that it is not the owner.
var errCrowded = errors.New("adapter: owner takes no connections")

// errLeaving means that the owner takes no further requests on a connection.
var errLeaving = errors.New("adapter: owner is shutting down")

// relayKeys sign for this replica and check what others signed. Two replicas trust
// each other when they share a key.
type relayKeys struct {
	keys [][]byte
	// loopbackOnly is set without a secret: every program can sign, so only this machine is
	// relayed to.
	loopbackOnly bool
}

func newRelayKeys(secrets [][]byte) (relayKeys, error) {
	if len(secrets) > maxSecrets {
		return relayKeys{}, fmt.Errorf("adapter: relay has %d secrets, more than %d", len(secrets), maxSecrets)
	}
	k := relayKeys{loopbackOnly: len(secrets) == 0}
	if k.loopbackOnly {
		secrets = [][]byte{[]byte("posthouse: no secret")}
	}
	for _, secret := range secrets {
		if len(secret) < minSecret {
			return relayKeys{}, fmt.Errorf("adapter: relay secret has %d bytes, fewer than %d", len(secret), minSecret)
		}
		key, err := hkdf.Key(sha256.New, secret, nil, "posthouse relay 1", sha256.Size)
		if err != nil {
			return relayKeys{}, err
		}
		k.keys = append(k.keys, key)
	}
	return k, nil
}

// sign returns the codes of parts, one for each key.
func (k relayKeys) sign(parts ...string) string {
	codes := make([]string, len(k.keys))
	for i, key := range k.keys {
		codes[i] = base64.RawURLEncoding.EncodeToString(authCode(key, parts))
	}
	return strings.Join(codes, ",")
}

// isSigned reports whether one of codes is of a key that this replica has.
func (k relayKeys) isSigned(codes string, parts ...string) bool {
	for i, text := range strings.SplitN(codes, ",", maxSecrets+1) {
		given, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || i == maxSecrets {
			return false
		}
		for _, key := range k.keys {
			if hmac.Equal(given, authCode(key, parts)) {
				return true
			}
		}
	}
	return false
}

// authCode authenticates parts, each with its length before it.
func authCode(key []byte, parts []string) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		io.WriteString(h, p)
	}
	return h.Sum(nil)
}

// signedEntry is what Redis keeps of the replica with that tag.
func (k relayKeys) signedEntry(tag, addr string) string {
	return addr + " " + k.sign("entry", tag, addr)
}

// readEntry returns the address that a signed entry names.
func (k relayKeys) readEntry(tag, text string) (addr string, ok bool) {
	addr, codes, _ := strings.Cut(text, " ")
	if len(text) > maxEntry || !k.isSigned(codes, "entry", tag, addr) {
		return "", false
	}
	if _, _, err := net.SplitHostPort(addr); err != nil || k.loopbackOnly && !isLoopback(addr) {
		return "", false
	}
	return addr, true
}

// isLoopback reports whether addr is of this machine whatever names resolve to.
func isLoopback(addr string) bool {
	ap, err := netip.ParseAddrPort(addr)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// requestMark is the header of a request to the replica with tag to.
func (k relayKeys) requestMark(kind, from, to, sid string) string {
	return kind + " " + from + " " + k.sign("request", kind, from, to, sid)
}

// readMark returns the kind of a mark that a replica made for this very request, ""
// for any other.
func (k relayKeys) readMark(text, to, sid string) (kind string) {
	words := strings.Split(text, " ")
	if len(words) != 3 || len(text) > maxEntry {
		return ""
	}
	switch words[0] {
	case markRelay, markBrief, markRelease:
	default:
		return ""
	}
	if !k.isSigned(words[2], "request", words[0], words[1], to, sid) {
		return ""
	}
	return words[0]
}

// helloProof answers a hello: it is of no use for another replica's name or address.
func (k relayKeys) helloProof(nonce, tag, addr string) string {
	return k.sign("proof", nonce, tag, addr)
}

// nonceSize is how many bytes of a hello are random.
const nonceSize = 16

// isNonce keeps hello from signing anything else.
func isNonce(s string) bool {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil && len(b) == nonceSize
}

// dialReplica connects to a replica and lets it prove that it is the one.
func (r *Relay) dialReplica(ctx context.Context, d destination) (net.Conn, error) {
	giveUp := time.Now().Add(crowdedPatience)
	for pause := crowdedPause; ; pause *= 2 {
		conn, err := r.dialReplicaOnce(ctx, d)
		if !errors.Is(err, errCrowded) || time.Until(giveUp) < pause {
			return conn, err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		}
	}
}

func (r *Relay) dialReplicaOnce(ctx context.Context, d destination) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: r.options.DialTimeout}).DialContext(ctx, "tcp", d.addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(longAgo) })
	conn.SetDeadline(time.Now().Add(proofTimeout))
	err = r.demandProof(conn, d)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time{})
}

var longAgo = time.Unix(1, 0)

func (r *Relay) demandProof(conn net.Conn, d destination) error {
	nonce := randid.Text(nonceSize)
	hello := "GET " + r.options.Path + " HTTP/1.1\r\nHost: " + d.addr + "\r\n" + relayHeader + ": " + markHello + " " + nonce + "\r\n\r\n"
	if _, err := io.WriteString(conn, hello); err != nil {
		return err
	}
	br := bufio.NewReader(io.LimitReader(conn, maxHelloHead))
	answer, err := http.ReadResponse(br, nil)
	if err != nil {
		var trouble net.Error
		if errors.As(err, &trouble) {
			return err
		}
		return errUntrusted
	}
	answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return errCrowded
	}
	if answer.StatusCode != http.StatusNoContent || br.Buffered() > 0 ||
		!r.relayKeys.isSigned(answer.Header.Get(relayHeader), "proof", nonce, d.tag, d.addr) {
		return errUntrusted
	}
	if answer.Close {
		return errLeaving
	}
	return nil
}

// answerHello proves to another replica that this one is who Redis says.
func (r *Relay) answerHello(w http.ResponseWriter, nonce string) {
	keepPeerConn(w)
	w.Header().Set(relayHeader, r.relayKeys.helloProof(nonce, r.currentTag(), r.options.Advertise))
	w.WriteHeader(http.StatusNoContent)
}

// keepPeerConn takes back what a middleware decided about the connections of clients, such as
// to close them behind their answers while descriptors are scarce: the connection of
// a replica is worth more than one client, and a hello that is answered so means that
// the process ends.
func keepPeerConn(w http.ResponseWriter) { w.Header().Del("Connection") }
