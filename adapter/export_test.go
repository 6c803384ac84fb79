package adapter

// HeldPolls tells how many polls of this replica's sessions others relay now.
func HeldPolls(r *Relay) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.heldPolls)
}
