package engineio

import (
	"context"
	"net/http"
)

// chain builds what stands around serve: CORS outermost, then the middlewares in
// their order. They see the requests of every transport alike, upgrades too.
func (srv *Server) chain(serve http.HandlerFunc) http.Handler {
	var h http.Handler = serve
	if len(srv.o.Middlewares) == 0 && srv.o.CORS == nil {
		return h
	}
	for i := len(srv.o.Middlewares) - 1; i >= 0; i-- {
		h = srv.o.Middlewares[i](h)
	}
	if len(srv.o.Middlewares) > 0 {
		inner := h
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), serverKey{}, srv)))
		})
	}
	if srv.o.CORS != nil {
		h = srv.cors(h)
	}
	return h
}

type serverKey struct{}

// RefuseRequest is for middlewares: it answers a request that the middleware
// fails with code 3, and reports it to Options.OnConnectionError with err, of
// which the peer learns nothing. A middleware may also answer in its own way;
// either way it does not call the next handler.
func RefuseRequest(w http.ResponseWriter, r *http.Request, err error) {
	e := badRequest("MIDDLEWARE_FAILURE", map[string]any{"error": err})
	srv, ok := r.Context().Value(serverKey{}).(*Server)
	if !ok {
		srv = &Server{} // used outside of Options.Middlewares: no server to report to
	}
	srv.refuse(w, r, e)
}
