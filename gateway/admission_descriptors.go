package gateway

// descriptors tells how full the process's table of file descriptors is. New sockets
// stop early, so that the webhook, health checks, Redis and WeChat keep theirs.
type descriptors struct {
	limit int // of the process, 0: unknown or none
	// next returns the number that the next descriptor would get; false: there is none
	// left. The system gives out the lowest free number, so a high one means that all
	// numbers below are taken. That is exact, counts the descriptors of every part of
	// the process, and costs two system calls.
	next func() (int, bool)
}

const (
	// socketsBelow is the percentage of descriptors that new sockets may reach
	// (docs/reliability.md §3 row F24).
	socketsBelow = 80
	// connectionsBelow is the percentage that TCP connections of any kind may reach.
	connectionsBelow = 95
)

// reached reports whether a new descriptor would lie above percent of the limit.
func (d *descriptors) reached(percent int) bool {
	if d == nil || d.limit <= 0 {
		return false
	}
	n, ok := d.next()
	return !ok || n >= d.limit/100*percent+d.limit%100*percent/100
}
