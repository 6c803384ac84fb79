package doctor

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"time"

	"posthouse/internal/sleep"
)

const (
	// fillAsks is how often the doctor asks how much of an unread answer was taken; other
	// replicas may get some of the questions.
	fillAsks  = 12
	fillPause = 120 * time.Millisecond
	// tinyBuffer keeps the doctor's own end from taking much.
	tinyBuffer = 4096
)

// verdict is the answer to a question that may stay open.
type verdict int

const (
	unknown verdict = iota
	no
	yes
)

// isBuffered leaves a long answer of a Posthouse unread, and asks on the side whether
// it was taken nonetheless: then a proxy keeps it, and the server cannot see that a client
// is slow.
func (w *walk) isBuffered(ctx context.Context) verdict {
	if !w.isPosthouse || w.own.Direct {
		return unknown
	}
	conn, err := w.target.dial(ctx, "http/1.1")
	if err != nil {
		return unknown
	}
	defer conn.Close()
	under := conn
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		under = secure.NetConn()
	}
	if tcp, ok := under.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(tinyBuffer) // a larger one only takes more
	}
	id := rand.Text()[:16]
	if _, err := io.WriteString(conn, "GET "+w.target.path+"doctor?fill="+id+" HTTP/1.1\r\nHost: "+w.target.site.Host+
		"\r\nUser-Agent: posthouse-doctor\r\nConnection: close\r\n\r\n"); err != nil {
		return unknown
	}
	found := unknown
	for range fillAsks {
		if sleep.For(ctx, fillPause) != nil {
			break
		}
		a, err := w.ask(ctx, w.target.fresh, http.MethodGet, w.target.site.String()+w.target.path+"doctor?filled="+id, "", nil)
		if err != nil || a.status != http.StatusOK {
			continue
		}
		var fill struct{ Taken, Of int }
		if json.Unmarshal([]byte(a.body), &fill) != nil || fill.Of == 0 {
			continue
		}
		if fill.Taken >= fill.Of {
			return yes
		}
		found = no
	}
	return found
}
