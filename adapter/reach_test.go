package adapter_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
	"posthouse/socketio"
)

type goAdapter = socketio.NewAdapter

// reachAll waits until a broadcast of every replica reaches clients of all.
func reachAll(t *testing.T, limit time.Duration, replicas []replica) {
	t.Helper()
	for i, from := range replicas {
		for j, to := range replicas {
			if i == j {
				continue
			}
			// fetchSockets of the other's socket and an event with its answer go
			// through everything.
			c := to.connect(t, "/")
			testenv.Until(t, limit, "replica "+strconv.Itoa(i)+" reaches "+strconv.Itoa(j), func() bool {
				_, err := from.do(command{Cmd: "socketsJoin", NSP: "/", To: []string{c.id()}, Rooms: []string{"reached"}})
				if err != nil {
					return false
				}
				got, err := to.do(command{Cmd: "fetchSockets", NSP: "/", Local: true, To: []string{"reached"}})
				return err == nil && strings.Contains(got, c.id())
			})
			must(t, from, command{Cmd: "socketsLeave", Rooms: []string{"reached"}})
		}
	}
}
