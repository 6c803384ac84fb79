//go:build !linux || goroutinereaders

package engineio

// RequestConns returns how many connections the loop of requests has.
func RequestConns(*Server) int { return 0 }
