// Package access gives the clients of a namespace rooms by rules instead of handlers:
// which rooms they are in from the start, which they may join and leave themselves, and
// which of their events are passed on to a room (docs/realtime.md §3). It is for
// programs that let browsers subscribe to topics without code for each.
//
//	rules, err := access.New(&access.Options{
//		Rooms: []string{"user:{sub}"},
//		Join:  []string{"topic:*", "doc:{sub}:*"},
//		Relay: []string{"typing"},
//		Claim: auth.ClaimOf,
//	})
//	guard.Protect(io.Of("/app"))
//	rules.Apply(io.Of("/app"))
//
// Clients send "join" and "leave" with the name of a room and get {room}, or
// {error: {code, message}}. Rules start no goroutine and keep nothing per socket.
package access
