//go:build !linux || goroutinereaders

package fasthttp1

import (
	"net"
	"net/http"
)

// Serve reports that net/http has to serve ln.
func Serve(net.Listener, *http.Server, *Config) (ok bool, err error) { return false, nil }
