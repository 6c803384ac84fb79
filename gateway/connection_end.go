package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"

	"posthouse/internal/loglimit"
	"posthouse/socketio/engineio"
)

// endsPerInterval is how many lines of ended connections are written within
// loglimit.Interval, of the good ends and of the bad ones; the next line says how many
// were left out.
const endsPerInterval = 100

// endLog writes one line for each connection that ends: at debug when the client or the
// server has closed it, at info when something went wrong.
type endLog struct {
	log       *slog.Logger
	good, bad loglimit.Limiter
}

func newEndLog(log *slog.Logger) *endLog {
	return &endLog{log: log, good: loglimit.Limiter{Burst: endsPerInterval}, bad: loglimit.Limiter{Burst: endsPerInterval}}
}

// connectionEnded is engineio.Options.OnSessionEnd.
func (l *endLog) connectionEnded(e *engineio.SessionEnd) {
	level, lines := slog.LevelDebug, &l.good
	cause := endCause(e)
	if cause != "" {
		level, lines = slog.LevelInfo, &l.bad
	}
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	leftOut, ok := lines.Allow()
	if !ok {
		return
	}
	attrs := []slog.Attr{
		slog.String("id", hashedID(e.ID)), slog.String("transport", e.Transport), slog.String("reason", string(e.Reason)),
		slog.Float64("seconds", e.Duration.Seconds()), slog.Uint64("packets", e.Packets), slog.Uint64("bytes", e.Bytes),
	}
	if cause != "" && cause != string(e.Reason) {
		attrs = append(attrs, slog.String("cause", cause))
	}
	if leftOut > 0 {
		attrs = append(attrs, slog.Any("left_out", leftOut))
	}
	l.log.LogAttrs(context.Background(), level, "connection ended", attrs...)
}

// endCause says what was bad about an end in words of a closed set, "" for a good end.
func endCause(e *engineio.SessionEnd) string {
	switch {
	case errors.Is(e.Description, engineio.ErrSlow):
		return "slow"
	case e.Refused:
		return "refused"
	case e.Reason == engineio.ReasonForcedClose && e.Description != nil:
		return "protocol" // the client broke the protocol or a limit, or a handler panicked
	case e.Reason == engineio.ReasonForcedClose, e.Reason == engineio.ReasonTransportClose:
		return ""
	}
	return string(e.Reason)
}

// hashedID stands for a session id, which is a secret of its client.
func hashedID(sid string) string {
	sum := sha256.Sum256([]byte(sid))
	return hex.EncodeToString(sum[:6])
}
