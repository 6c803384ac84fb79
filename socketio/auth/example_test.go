package auth_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/auth"
)

func Example() {
	keys, err := auth.NewJWKS("https://id.example.com/.well-known/jwks.json", &auth.JWKSOptions{
		Client: &http.Client{Timeout: 5 * time.Second}})
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := auth.NewVerifier(&auth.VerifierOptions{
		Issuer: "https://id.example.com", Audience: "app", Keys: keys, ClockSkew: 30 * time.Second,
	})
	if err != nil {
		log.Fatal(err)
	}
	guard := auth.NewGuard(verifier, nil)
	defer guard.Close()

	io := socketio.NewServer(nil)
	defer io.Shutdown(context.Background())
	guard.Protect(io.Of("/app")) // or a parent: io.OfPattern("/team/{id}")
	io.Of("/app").OnConnection(func(s *socketio.Socket) {
		token, _ := auth.TokenOf(s)
		org, _ := auth.ClaimOf(s, "org")
		log.Print(token.Subject, " of ", org, " until ", token.Expires)
	})
	fmt.Println(keys.Stats() == auth.JWKSStats{}, keys.Err())
	// Output: true <nil>
}

// Tokens that are taken back end their sockets on every node; new connections ask
// the store.
func ExampleGuard_Revoke() {
	taken := map[string]bool{}
	key, err := auth.NewKey("", []byte("a secret of 32 bytes or more ..."))
	if err != nil {
		log.Fatal(err)
	}
	var source auth.KeySource = auth.Keys{key}
	var verifier auth.TokenVerifier
	if verifier, err = auth.NewVerifier(&auth.VerifierOptions{Issuer: "me", Audience: "app", Keys: source}); err != nil {
		log.Fatal(err)
	}
	guard := auth.NewGuard(verifier, &auth.GuardOptions{
		Revoked: func(_ context.Context, t *auth.Token) (bool, error) { return taken[t.ID], nil },
	})
	defer guard.Close()
	var app auth.Namespace = socketio.NewServer(nil).Of("/app")
	guard.Protect(app)

	taken["4711"] = true
	err = guard.Revoke(auth.Revocation{IDs: []string{"4711"}})
	fmt.Println(err, guard.EndSockets(func(t *auth.Token) bool { return t.Subject == "mallory" }))
	// Output: <nil> 0
}

// Keys of a file: PEM blocks and hs256: lines.
func ExampleReadKeys() {
	keys, err := auth.ReadKeys("token.key")
	if err != nil {
		fmt.Println("no keys")
	}
	_, err = auth.ParseKeys("hs256:c2hvcnQ=")
	fmt.Println(len(keys), err)
	// Output:
	// no keys
	// 0 auth: unsuitable key: hs256 needs 32 bytes, has 5
}

// Other nodes see the subject of a socket and nothing else of its token.
func ExampleSubject() {
	io := socketio.NewServer(nil)
	sockets, _ := io.FetchSockets(context.Background())
	for _, s := range sockets {
		subject, ok := auth.Subject.In(s)
		log.Print(s.ID(), subject, ok)
	}
	for _, err := range []error{auth.ErrUnauthorized, auth.ErrExpired, auth.ErrUnavailable, auth.ErrKey} {
		log.Print(err) // what a TokenVerifier and the key functions return
	}
	log.Print(auth.MaxToken)
}
