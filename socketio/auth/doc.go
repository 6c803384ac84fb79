// Package auth lets sockets into a namespace by a JSON Web Token and ends them with
// it (docs/realtime.md §2). It is for programs whose pages get their tokens from an
// issuer, such as an OpenID Connect provider.
//
//	keys, err := auth.NewJWKS("https://id.example.com/.well-known/jwks.json", nil)
//	verifier, err := auth.NewVerifier(&auth.VerifierOptions{
//		Issuer: "https://id.example.com", Audience: "app", Keys: keys,
//	})
//	guard := auth.NewGuard(verifier, nil)
//	guard.Protect(io.Of("/app"))
//
// A client sends its token in the CONNECT payload, io(url, {auth: {token}}), or in the
// header Authorization. A socket gets the event "expired" when its token expires and
// is disconnected five seconds later, unless the client sends the event "auth" with a
// fresh token of the same subject. TokenOf tells the token of a socket; other nodes
// see its subject only (Subject), as long as socketio.Options.PrivateHandshake is not
// emptied.
//
// A Guard owns one timer for all its sockets and no goroutine; a JWKS owns none either:
// the caller that needs a refresh makes it. Guard.Close stops the timer.
package auth
