package callback

import "net/http"

// SetUpstreamTransport replaces the way to upstreams, for tests in fake time.
func (h *Handler) SetUpstreamTransport(t http.RoundTripper) { h.httpClient.Transport = t }
