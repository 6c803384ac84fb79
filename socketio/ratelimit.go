package socketio

import (
	"errors"
	"time"
)

// ErrRate is what RateLimit drops an event with; the functions of OnError see it.
var ErrRate = errors.New("socketio: too many events")

// rateStrikes is how many times in a row a client may exceed its rate by a whole
// burst before it is disconnected.
const rateStrikes = 3

// RateLimit returns a middleware for Socket.Use that lets events through at a
// steady rate per second, and burst of them at once. An event too many is
// dropped; if the client asked for an acknowledgement it gets
// {"error":{"code":"rate_limited","message":…,"retryAfter":seconds}}. A client that goes on and has
// three bursts dropped is disconnected with its connection.
//
// It counts for one socket: make one for each.
//
//	io.OnConnection(func(s *socketio.Socket) { s.Use(socketio.RateLimit(50, 100)) })
func RateLimit(perSecond float64, burst int) func(*Event) error {
	tokens, last, dropped := float64(burst), time.Now(), 0 // handlers of a socket run one at a time
	return func(e *Event) error {
		now := time.Now()
		tokens = min(float64(burst), tokens+now.Sub(last).Seconds()*perSecond)
		last = now
		if tokens >= 1 {
			tokens--
			if tokens > float64(burst)/2 {
				dropped = 0 // it has calmed down
			}
			return nil
		}
		if dropped++; dropped >= rateStrikes*burst {
			e.socket.Disconnect(true)
			return ErrRate
		}
		e.fail(&EventError{Code: "rate_limited", Message: "too many events",
			Data: map[string]any{"retryAfter": int((1-tokens)/perSecond) + 1}})
		return ErrRate
	}
}
