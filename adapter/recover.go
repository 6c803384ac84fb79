package adapter

import (
	"fmt"
	"log/slog"
	"runtime/debug"
)

// recoverMessage is deferred around the work on one message from Redis. What Redis
// holds is input like any other: a message that makes this code panic is logged and
// counted as malformed (st may be nil: not counted), and does not end the process.
func recoverMessage(st *counters, log *slog.Logger, what string) {
	if v := recover(); v != nil {
		if st != nil {
			st.malformed.Add(1)
		}
		log.Error("adapter: panic while a message from redis was handled",
			"what", what, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
}
