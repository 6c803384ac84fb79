//go:build linux && !goroutinereaders

package engineio

// RequestConns returns how many connections the loop of requests has.
func RequestConns(srv *Server) int {
	l := srv.loops.requests()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}
