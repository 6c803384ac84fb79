// Package answer writes HTTP answers to peers that may be slow to take them. The
// deadlines are those of the answer, not of the request: http.Server.WriteTimeout,
// which runs from the request's arrival, would cut every answer that was waited for.
package answer

import (
	"cmp"
	"net/http"
	"time"
)

// Paced is implemented by response writers that end an answer by themselves when
// the peer takes nothing of it.
type Paced interface {
	// Paced does nothing.
	Paced()
}

// Patience is how long a peer may take nothing of an answer, by the options of the
// engine: writeTimeout, or when that is negative as long as the heartbeat allows.
func Patience(writeTimeout, pingTimeout time.Duration) time.Duration {
	switch {
	case writeTimeout > 0:
		return writeTimeout
	case writeTimeout == 0:
		return 10 * time.Second
	}
	return cmp.Or(pingTimeout, 20*time.Second)
}

// piece is how much a peer has to take within the limit.
const piece = 16 << 10

// Hold prepares for an answer that may be long in coming: no deadline of the
// http.Server runs meanwhile.
func Hold(w http.ResponseWriter) {
	if paced(w) {
		return
	}
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Time{})  //nolint:errcheck // then there is none
	rc.SetWriteDeadline(time.Time{}) //nolint:errcheck // likewise
}

// Begin gives the peer limit for what is written next: for short answers.
func Begin(w http.ResponseWriter, limit time.Duration) {
	if !paced(w) {
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit)) //nolint:errcheck // then there is none
	}
}

// Write writes body to w. A peer that takes less than 16 KiB within limit ends it.
func Write(w http.ResponseWriter, body []byte, limit time.Duration) error {
	if !paced(w) {
		rc := http.NewResponseController(w)
		for rc.SetWriteDeadline(time.Now().Add(limit)) == nil && len(body) > piece {
			if _, err := w.Write(body[:piece]); err != nil {
				return err
			}
			body = body[piece:]
		}
	}
	_, err := w.Write(body)
	return err
}

func paced(w http.ResponseWriter) bool {
	for {
		switch x := w.(type) {
		case Paced:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = x.Unwrap()
		default:
			return false
		}
	}
}
