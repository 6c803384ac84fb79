package engineio

import (
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
)

// HTTPCompression configures the compression of polling answers. nil and the
// zero value are Node's default: on, from 1024 bytes.
type HTTPCompression struct {
	Disabled  bool
	Threshold int // shortest payload to compress in bytes, default 1024; negative: all
}

// PerMessageDeflate turns the WebSocket extension of RFC 7692 on. What a message inflates
// to is limited by Options.MaxPayload.
type PerMessageDeflate struct {
	Threshold int // shortest message to compress in bytes, default 1024; negative: all
	Level     int // 1 (default, fastest) to 9; 5 gives about the size of Node's default
	// ContextTakeover is how many bytes of its earlier messages a connection keeps, in
	// each direction, for the next messages to refer to: a power of two from 512 to 8192,
	// and Level does not count then. 0, the default, keeps nothing: each message stands
	// alone. A broadcast is compressed once for all members either way, so it refers to
	// nothing. A client may decline, in either direction.
	ContextTakeover int
}

type encoding int

const (
	encodingNone encoding = iota
	encodingGzip
	encodingDeflate // the zlib format, whatever its name says
)

var encodingNames = [...][]string{encodingGzip: {"gzip"}, encodingDeflate: {"deflate"}}

// negotiate picks the encoding of an Accept-Encoding header: the highest
// q-value, of equal ones the first in the header (docs/protocol.md §1.9).
func negotiate(header string) encoding {
	best, bestQ := encodingNone, 0.0
	var refused [3]bool
	star := 0.0
	for item := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(item, ";")
		q := quality(params)
		var e encoding
		switch name = strings.TrimSpace(name); {
		case strings.EqualFold(name, "gzip"):
			e = encodingGzip
		case strings.EqualFold(name, "deflate"):
			e = encodingDeflate
		case name == "*":
			star = max(star, q)
			continue
		default:
			continue
		}
		if q == 0 {
			refused[e] = true
		} else if q > bestQ {
			best, bestQ = e, q
		}
	}
	if star > bestQ {
		for _, e := range []encoding{encodingGzip, encodingDeflate} {
			if !refused[e] {
				return e
			}
		}
	}
	return best
}

func quality(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(key), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(q >= 0) {
				return 0
			}
			return min(q, 1)
		}
	}
	return 1
}

// compressor is what gzip.Writer and zlib.Writer have in common.
type compressor interface {
	io.WriteCloser
	Reset(io.Writer)
}

var compressors = [...]sync.Pool{
	encodingGzip:    {New: func() any { return gzip.NewWriter(nil) }},
	encodingDeflate: {New: func() any { return zlib.NewWriter(nil) }},
}

// Write implements io.Writer for the compressors.
func (b *buffer) Write(p []byte) (int, error) {
	b.b = append(b.b, p...)
	return len(p), nil
}

func compress(dst *buffer, e encoding, body []byte) {
	c := compressors[e].Get().(compressor)
	c.Reset(dst)
	c.Write(body) //nolint:errcheck // a buffer takes everything
	c.Close()     // see above
	compressors[e].Put(c)
}

// encodingFor decides whether a polling answer is compressed.
func (srv *Server) encodingFor(accept string, q *queue, size int) encoding {
	if srv.compressFrom < 0 || size < srv.compressFrom || accept == "" || !q.wantsCompression() {
		return encodingNone
	}
	return negotiate(accept)
}
