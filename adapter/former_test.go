package adapter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
)

// heldBackConnection is the state after a replica emitted an event whose bytes the proxy
// keeps, gave that connection up, and emitted others on the next one: c has the first of them.
type heldBackConnection struct {
	replica *goReplica
	c       client
	proxy   *faultProxy
	release func()
}

func holdConnectionBack(t *testing.T, rdb redis.UniversalClient, name string) heldBackConnection {
	t.Helper()
	proxy := newFaultProxy(t, rdb.(*redis.Client).Options().Addr)
	through := newClient(t, &redis.UniversalOptions{Addrs: []string{proxy.addr}, ClientName: adapter.ClientName()})
	a, b := newGoReplica(t, quickAdapters[name](through), nil), newGoReplica(t, quickAdapters[name](rdb), nil)
	arrives(t, 5*time.Second, a, b)
	h := heldBackConnection{a, b.connect(t, "/"), proxy, proxy.delay("held-back")}
	t.Cleanup(h.release)
	failed := statsOf(a).PublishFailed
	must(t, a, command{Cmd: "emit", Args: []any{"order", "held-back"}})
	testenv.Until(t, 10*time.Second, "the connection to be given up", func() bool { return statsOf(a).PublishFailed > failed })
	proxy.passOthers()
	taken := statsOf(a).Published
	testenv.Until(t, 10*time.Second, "later events to be taken", func() bool {
		must(t, a, command{Cmd: "emit", Args: []any{"order", "later"}})
		return statsOf(a).Published > taken+2
	})
	expectNext(t, h.c, `order["later"]`)
	return h
}

// Bytes that lie between a node and Redis when a connection is given up must not arrive behind
// those that the node sends on the next one (docs/reliability.md §5.1).
func TestAdapters_ConnectionThatIsGivenUp_BringsNothingLate(t *testing.T) {
	t.Parallel()
	for name := range quickAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			h := holdConnectionBack(t, rdb, name)
			if n := h.proxy.heldConns(); n != 1 {
				t.Fatalf("%d connections are held back", n)
			}
			h.release()
			testenv.Until(t, 10*time.Second, "the old connection to be gone", func() bool { return h.proxy.heldConns() == 0 })
			must(t, h.replica, command{Cmd: "emit", Args: []any{"order", "last"}})
			for got := ""; got != `order["last"]`; {
				if got = h.c.next(t); got == `order["held-back"]` {
					t.Error("an event arrived behind a later one")
				}
			}
		})
	}
}

// A user that may not end connections goes on as before, and its operator reads why.
func TestAdapters_ConnectionsThatMayNotBeEnded_MessagesGoOn(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	if err := rdb.Do(t.Context(), "acl", "setuser", "default", "-client|kill").Err(); err != nil {
		t.Fatal(err)
	}
	holdConnectionBack(t, rdb, "classic")
}

func TestClientName_IsOneClientsAlone(t *testing.T) {
	t.Parallel()
	if a, b := adapter.ClientName(), adapter.ClientName(); a == b || !strings.HasPrefix(a, "posthouse-") {
		t.Errorf("%q and %q", a, b)
	}
}
