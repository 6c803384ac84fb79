package gateway_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

// The requests that a replica relays come from its one address. The limit of TCP
// connections per address (docs/reliability.md §4 row 1) is for clients.
func TestRelay_ManyPollsOfOneReplica_AreNotLimitedByItsAddress(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: the clients need loopback addresses of their own")
	}
	const clients = 20 // the limit of one address is 4
	redis, _ := testenv.Redis(t)
	env := []string{
		"POSTHOUSE_REDIS_URL=redis://" + redis, "POSTHOUSE_LIMIT_CONNECTIONS_PER_IP=1",
		"POSTHOUSE_JWT_KEY=hs256:Y2FuYXJ5IG9mIHRoZSBzaWduaW5nIGtleSwgMzIgYnl0ZXM",
	}
	owner, _ := testenv.Gateway(t, env...)
	relay, _ := testenv.Gateway(t, env...)

	type polling struct {
		*http.Client
		path string
	}
	request := func(c polling, method, base, body string) (int, string, error) {
		req, err := http.NewRequestWithContext(t.Context(), method, base+c.path, strings.NewReader(body))
		if err != nil {
			return 0, "", err
		}
		resp, err := c.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text), err
	}
	must := func(c polling, method, base, body string) string {
		t.Helper()
		status, text, err := request(c, method, base, body)
		if err != nil || status != http.StatusOK {
			t.Fatalf("%s %s: %d %q %v", method, c.path, status, text, err)
		}
		return text
	}
	all := make([]polling, clients)
	for i := range all {
		from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}
		c := polling{
			&http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				return (&net.Dialer{LocalAddr: from}).DialContext(ctx, network, addr)
			}}},
			"/socket.io/?EIO=4&transport=polling",
		}
		t.Cleanup(c.CloseIdleConnections)
		var open struct{ Sid string }
		if err := json.Unmarshal([]byte(must(c, "GET", owner, "")[1:]), &open); err != nil {
			t.Fatal(err)
		}
		c.path += "&sid=" + open.Sid
		must(c, "POST", owner, "40")
		must(c, "GET", owner, "")
		all[i] = c
	}
	answers := make(chan error, clients)
	for i, c := range all {
		go func() {
			status, text, err := request(c, "GET", relay, "")
			if err == nil && (status != 200 || !strings.HasPrefix(text, "43"+strconv.Itoa(i)+"[")) {
				err = fmt.Errorf("client %d: %d %q", i, status, text)
			}
			answers <- err
		}()
	}
	testenv.Until(t, 20*time.Second, "all polls to wait at their owner", func() bool { return loopbackConns(t, owner) >= clients })
	for i, c := range all {
		must(c, "POST", owner, "42"+strconv.Itoa(i)+`["rtt"]`)
	}
	for range all {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}

// loopbackConns returns how many connections from 127.0.0.1 the server at base has.
func loopbackConns(t *testing.T, base string) (n int) {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(base[strings.LastIndexByte(base, ':')+1:])
	if err != nil {
		t.Fatal(err)
	}
	host := fmt.Sprintf("%08X:", binary.NativeEndian.Uint32([]byte{127, 0, 0, 1}))
	local := host + fmt.Sprintf("%04X", port)
	for line := range strings.Lines(string(table)) {
		const established = "01"
		f := strings.Fields(line)
		if len(f) > 3 && f[1] == local && strings.HasPrefix(f[2], host) && f[3] == established {
			n++
		}
	}
	return n
}
