package ws

import (
	"strconv"
	"strings"

	"github.com/klauspost/compress/flate"
)

// DeflateOptions enables permessage-deflate for connections whose client offers
// it. The zero value of a field means its default.
type DeflateOptions struct {
	Threshold int // shortest message to compress in bytes, default 1024; negative: all
	Level     int // 1 (default, fastest) to 9
	// History is how many bytes of its earlier messages a connection keeps in each
	// direction for the next to refer to, a power of two from MinHistory to MaxHistory;
	// 0: none. Level does not count then.
	History int
}

// header values longer than this are refused unread: no honest client comes near.
const maxListHeader = 4096

// negotiate picks the first offer of permessage-deflate that can be met
// (RFC 7692 §7.1) and returns it with the value of the response header. An offer
// that cannot be met, and any other extension, is passed over; ok is false when
// the header is malformed (RFC 6455 §9.1).
func (o *DeflateOptions) negotiate(headers []string) (d *Deflate, answer string, ok bool) {
	for _, list := range headers {
		if len(list) > maxListHeader {
			return nil, "", false
		}
		s := scanner{rest: list}
		for {
			name, params, valid := s.extension()
			if !valid {
				return nil, "", false
			}
			if d == nil && name == "permessage-deflate" {
				d, answer = o.accept(params)
			}
			if s.done() {
				break
			}
			if !s.take(',') {
				return nil, "", false
			}
		}
	}
	return d, answer, true
}

type param struct {
	name, value string
	hasValue    bool
}

// accept builds the answer to one offer; nil when the offer must be declined.
func (o *DeflateOptions) accept(params []param) (*Deflate, string) {
	d := &Deflate{threshold: 1024, level: flate.BestSpeed, window: fullWindow}
	if o.Threshold > 0 {
		d.threshold = o.Threshold
	} else if o.Threshold < 0 {
		d.threshold = 0
	}
	if o.Level >= flate.BestSpeed && o.Level <= flate.BestCompression {
		d.level = o.Level
	}
	var asked offer
	window := ""
	for i, p := range params {
		for _, q := range params[:i] {
			if p.name == q.name {
				return nil, ""
			}
		}
		switch p.name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if p.hasValue {
				return nil, ""
			}
			asked.serverAlone = asked.serverAlone || p.name[0] == 's'
			asked.clientAlone = asked.clientAlone || p.name[0] == 'c'
		case "server_max_window_bits":
			bits, valid := windowBits(p.value)
			if !valid {
				return nil, ""
			}
			d.window = 1 << bits
			window = "; server_max_window_bits=" + p.value
		case "client_max_window_bits":
			// A permission to limit the client (RFC 7692 §7.1.2.2), which only a
			// history needs: the inflater's window is always the full one.
			asked.clientWindow = fullWindow
			if p.hasValue {
				bits, valid := windowBits(p.value)
				if !valid {
					return nil, ""
				}
				asked.clientWindow = 1 << bits
			}
		default:
			return nil, ""
		}
	}
	// Without a history both sides start every message afresh, whether the offer says so
	// or not: the server may always demand that (RFC 7692 §7.1.1).
	return d, "permessage-deflate" + d.takeOver(o.History, &asked) + window
}

// offer is what a client says about contexts.
type offer struct {
	serverAlone, clientAlone bool // its messages stand alone
	clientWindow             int  // bytes; 0: the server may not limit it
}

// windowBits parses 8 to 15 without leading zero (RFC 7692 §7.1.2).
func windowBits(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 8 && n <= 15 && s[0] != '0' && s[0] != '+'
}

// scanner reads the lists of RFC 7230 §7 in linear time.
type scanner struct{ rest string }

func (s *scanner) space() { s.rest = strings.TrimLeft(s.rest, " \t") }

func (s *scanner) done() bool {
	s.space()
	return s.rest == ""
}

func (s *scanner) take(c byte) bool {
	s.space()
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) token() (string, bool) {
	s.space()
	n := 0
	for n < len(s.rest) && isTokenByte(s.rest[n]) {
		n++
	}
	t := s.rest[:n]
	s.rest = s.rest[n:]
	return t, n > 0
}

// extension reads `name *(; param [= value])`.
func (s *scanner) extension() (name string, params []param, ok bool) {
	if name, ok = s.token(); !ok {
		return "", nil, false
	}
	for s.take(';') {
		var p param
		if p.name, ok = s.token(); !ok {
			return "", nil, false
		}
		if s.take('=') {
			p.hasValue = true
			if s.take('"') {
				end := strings.IndexByte(s.rest, '"')
				if end < 0 {
					return "", nil, false
				}
				// A quoted value must be a token all the same (RFC 6455 §9.1).
				p.value, s.rest = s.rest[:end], s.rest[end+1:]
				if !isToken(p.value) {
					return "", nil, false
				}
			} else if p.value, ok = s.token(); !ok {
				return "", nil, false
			}
		}
		if params = append(params, p); len(params) > 16 {
			return "", nil, false
		}
	}
	return name, params, true
}

func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// isTokenByte follows RFC 7230 §3.2.6.
func isTokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
