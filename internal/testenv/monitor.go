package testenv

import (
	"bufio"
	"net"
	"sync"
	"testing"
)

// Monitor passes each command that the Redis server at addr gets to line, as MONITOR prints
// it. It sees all commands from its return on. stop ends it and waits; the end of the test
// does too.
func Monitor(t testing.TB, addr string, line func(text string)) (stop func()) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	stop = func() {
		_ = c.Close()
		reading.Wait()
	}
	t.Cleanup(stop)
	if _, err := c.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(c)
	if _, err := lines.ReadString('\n'); err != nil { // +OK
		t.Fatal(err)
	}
	reading.Go(func() { // ends when c is closed
		for {
			text, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			line(text)
		}
	})
	return stop
}
