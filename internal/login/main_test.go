package login_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(cleanup{m})
}

// cleanup stops the servers before the leak check.
type cleanup struct{ *testing.M }

func (c cleanup) Run() int {
	defer stopServers()
	return c.M.Run()
}
