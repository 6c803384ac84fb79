package gateway

// descriptors tells how full the process's table of file descriptors is. New sockets
// stop early, so that the webhook, health checks, Redis and WeChat keep theirs.
type descriptors struct {
	processLimit int // of the process, 0: unknown or none
	// lowestFree returns the number that the next descriptor would get; false: there is none
	// left. The system gives out the lowest free number, so a high one means that all
	// numbers below are taken. That is exact, counts the descriptors of every part of
	// the process, and costs two system calls.
	lowestFree func() (int, bool)
}

const (
	// socketsBelow is the percentage of descriptors that new sockets may reach
	// (docs/reliability.md §3 row F24).
	socketsBelow = 80
	// connectionsBelow is the percentage that TCP connections of any kind may reach.
	connectionsBelow = 95
)

// limitReached reports whether a new descriptor would lie above percent of the limit.
func (d *descriptors) limitReached(percent int) bool {
	if d == nil || d.processLimit <= 0 {
		return false
	}
	n, ok := d.lowestFree()
	return !ok || n >= d.processLimit/100*percent+d.processLimit%100*percent/100
}
