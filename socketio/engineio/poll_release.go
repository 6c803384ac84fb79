package engineio

import (
	"context"
	"net/http"
)

type pollReleaseKey struct{}

// WithPollRelease returns a context for a request that polls. When release is
// closed while the poll waits, the poll is answered with a noop packet: the client
// polls again, and the session goes on. A relay that is about to stop gives its
// polls back so; a cancelled request would close the session.
func WithPollRelease(ctx context.Context, release <-chan struct{}) context.Context {
	return context.WithValue(ctx, pollReleaseKey{}, release)
}

// pollRelease is nil, which is never ready, for a request without a release.
func pollRelease(r *http.Request) <-chan struct{} {
	release, _ := r.Context().Value(pollReleaseKey{}).(<-chan struct{})
	return release
}
