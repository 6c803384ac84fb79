package fasthttp1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// ErrUnusual is the answer to everything that net/http should look at.
var ErrUnusual = errors.New("fasthttp1: not a plain request")

// ErrIncomplete is the answer to a plain request of whose body bytes are missing.
var ErrIncomplete = errors.New("fasthttp1: body not complete")

// Of plain requests; net/http has its own limits for the others.
const (
	maxFields = 64
	maxHead   = 8 << 10
)

// Head is a parsed request, before it is one for a handler.
type Head struct {
	Path string // of the target, as it came, without the query

	method string
	target string
	host   string
	header http.Header
	length int // of the body
	body   string
	last   bool // the client wants the connection closed after the answer
	Size   int  // bytes of the request, body included
}

var (
	endOfHead = []byte("\r\n\r\n")
	version   = " HTTP/1.1"
)

// Parse reads the request at the beginning of data, which it does not keep. With
// ErrIncomplete the head is there, and Size says how long data has to be.
func Parse(data []byte) (h Head, err error) {
	end := bytes.Index(data, endOfHead)
	if end < 0 || end > maxHead || len(data) < 16 || data[0] != 'G' && data[0] != 'P' {
		return h, ErrUnusual
	}
	length, ok := contentLength(data[:end])
	if !ok {
		return h, ErrUnusual
	}
	head := end + len(endOfHead)
	h.Size, h.length = head+length, length
	complete := h.Size <= len(data)
	if complete {
		data = data[:h.Size]
	} else {
		data = data[:head]
	}
	text := string(data)
	h.body = text[head:]
	line, fields, _ := strings.Cut(text[:end+2], "\r\n")
	switch {
	case !h.requestLine(line), !h.fields(fields), h.method == http.MethodGet && length > 0:
		return h, ErrUnusual
	case !complete:
		return h, ErrIncomplete
	}
	return h, nil
}

// contentLength looks for the field before anything is allocated; fields judges it.
func contentLength(head []byte) (n int, ok bool) {
	if head[0] == 'G' {
		return 0, true
	}
	const name = "\r\ncontent-length:"
	for i := bytes.IndexByte(head, '\r'); i >= 0 && i+len(name) < len(head); {
		if line := head[i:]; line[2]|0x20 == 'c' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			line = line[len(name):]
			if end := bytes.IndexByte(line, '\r'); end >= 0 {
				line = line[:end]
			}
			return decimal(string(bytes.Trim(line, " ")))
		}
		next := bytes.IndexByte(head[i+1:], '\r')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return 0, false
}

// decimal reads a small number without a sign.
func decimal(s string) (n int, ok bool) {
	if s == "" || len(s) > 7 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

func (h *Head) requestLine(line string) bool {
	line, ok := strings.CutSuffix(line, version)
	if !ok {
		return false
	}
	switch {
	case strings.HasPrefix(line, "GET /"):
		h.method, h.target = http.MethodGet, line[len("GET "):]
	case strings.HasPrefix(line, "POST /"):
		h.method, h.target = http.MethodPost, line[len("POST "):]
	default:
		return false
	}
	path, query, _ := strings.Cut(h.target, "?")
	for i := range len(path) {
		if !plainPath[path[i]] {
			return false
		}
	}
	for i := range len(query) {
		if query[i] <= ' ' || query[i] >= 0x7f || query[i] == '#' {
			return false
		}
	}
	h.Path = path
	return !strings.HasPrefix(path, "//") // which would be an authority
}

// plainPath has the characters that stand for themselves in a path.
var plainPath = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-._~$&+,:;=@")

// token has the characters of a field's name (RFC 9110 §5.6.2).
var token = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~")

func set(chars string) (s [256]bool) {
	for i := range len(chars) {
		s[chars[i]] = true
	}
	return s
}

// fields reads the header, each byte of a name and of a value once. One array holds the
// values of all single fields, as in net/http.
func (h *Head) fields(rest string) bool {
	n := strings.Count(rest, "\n")
	if n == 0 || n > maxFields {
		return false
	}
	h.header = make(http.Header, n-1) // the host stands beside it
	values := make([]string, 0, n-1)
	for rest != "" {
		end := strings.IndexByte(rest, '\r')
		if end < 0 || end+1 == len(rest) || rest[end+1] != '\n' {
			return false
		}
		key, value, ok := field(rest[:end])
		if !ok || !h.special(key, value) {
			return false
		}
		rest = rest[end+2:]
		if key == "Host" {
			continue
		}
		if old, ok := h.header[key]; ok {
			h.header[key] = append(old, value)
			continue
		}
		values = append(values, value)
		h.header[key] = values[len(values)-1 : len(values) : len(values)]
	}
	if p := h.header["Pragma"]; p != nil && p[0] == "no-cache" && h.header["Cache-Control"] == nil {
		h.header["Cache-Control"] = []string{"no-cache"} // as net/http does
	}
	return h.host != ""
}

// field reads a line of the header: its name in canonical form and its value without
// the spaces around it.
func field(line string) (key, value string, ok bool) {
	isCanonical, isStart := true, true
	i := 0
	for ; i < len(line) && token[line[i]]; i++ {
		c := line[i]
		if isStart && 'a' <= c && c <= 'z' || !isStart && 'A' <= c && c <= 'Z' {
			isCanonical = false
		}
		isStart = c == '-'
	}
	if i == 0 || i == len(line) || line[i] != ':' {
		return "", "", false
	}
	key, value = line[:i], trimSpace(line[i+1:])
	if !isCanonical {
		key = textproto.CanonicalMIMEHeaderKey(key)
	}
	return key, value, isValue(value)
}

func trimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// special judges the fields that decide how a connection goes on.
func (h *Head) special(key, value string) bool {
	switch key {
	case "Host":
		if h.host != "" || !isHost(value) {
			return false
		}
		h.host = value
	case "Content-Length":
		n, ok := decimal(value)
		_, twice := h.header[key]
		return ok && !twice && n == h.length
	case "Connection":
		if value == "keep-alive" {
			return true
		}
		for item := range strings.SplitSeq(value, ",") {
			switch item = trimSpace(item); {
			case strings.EqualFold(item, "close"):
				h.last = true
			case !strings.EqualFold(item, "keep-alive") && !strings.EqualFold(item, "upgrade"):
				return false
			}
		}
	case "Upgrade":
		return strings.EqualFold(value, "websocket") && h.method == http.MethodGet
	case "Transfer-Encoding", "Trailer", "Te", "Expect", "Proxy-Connection", "Keep-Alive", "Http2-Settings":
		return false
	}
	return true
}

func isToken(s string) bool {
	for i := range len(s) {
		if !token[s[i]] {
			return false
		}
	}
	return s != ""
}

// isValue reports whether a field's value has no control character but the tab.
func isValue(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		if word := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56; mayHoldControl(word) && !isPlain(s[:8]) {
			return false
		}
	}
	return isPlain(s)
}

// mayHoldControl looks at eight bytes at once. It is true when one of them is below a
// space or is DEL, and may be true for others behind such a byte.
func mayHoldControl(word uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	isDEL := word ^ 0x7f*ones
	return ((word-' '*ones)&^word|(isDEL-ones)&^isDEL)&tops != 0
}

func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func isHost(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return s != ""
}

// Request returns the request for a handler. Its body may be read until the
// handler returns.
func (h *Head) Request(ctx context.Context, remoteAddr string) *http.Request {
	u := &url.URL{Path: h.Path}
	if len(h.Path) < len(h.target) {
		u.RawQuery = h.target[len(h.Path)+1:]
		u.ForceQuery = u.RawQuery == ""
	}
	r := &http.Request{
		Method: h.method, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h.header, Host: h.host, RequestURI: h.target, RemoteAddr: remoteAddr,
		Close: h.last, Body: http.NoBody, ContentLength: int64(len(h.body)),
	}
	if h.body != "" {
		r.Body = &Body{*strings.NewReader(h.body)}
	}
	return r.WithContext(ctx)
}

// query returns the raw query of the target.
func (h *Head) query() string {
	_, query, _ := strings.Cut(h.target[len(h.Path):], "?")
	return query
}

// Body is a request's body, all of which is there.
type Body struct{ strings.Reader }

// Close implements io.Closer.
func (b *Body) Close() error {
	b.Reader.Reset("")
	return nil
}

// Complete marks bodies of which every byte is there, for engineio.BodyDeadline.
func (b *Body) Complete() {}

var _ io.ReadCloser = (*Body)(nil)
