package tlspoll

// Unsent returns how many bytes of records wait.
func (s *Stream) Unsent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.unsent)
}
