package login

import "context"

// ReplaySpool is one round of Run.
func (s *Service) ReplaySpool(ctx context.Context) bool { return s.replay(ctx) }
