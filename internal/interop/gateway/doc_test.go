// Package gateway_test holds the built gateway to the login contract, literally:
// names of keys, codes, routes, headers and the order of events, as people who
// write front ends and operate replicas rely on them.
package gateway_test

import (
	"os"
	"testing"

	"posthouse/internal/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.RemoveBinaries()
	os.Exit(code)
}
