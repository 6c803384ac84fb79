// Package login is the core of the WeChat login: what a ticket is, which steps
// it may take, the socket that may have its result, and the token that comes out of it. The
// gateway's /login namespace and the webhook (package callback) are its users;
// it knows neither sockets nor WeChat.
//
// A ticket is one login attempt. Its steps are kept by a [Store], Memory for one
// replica and Redis for many, each step one atomic change judged by the store's
// own clock:
//
//	waiting → (claimed →) done
//	waiting, claimed → expired | replaced | cancelled | denied
//
// The store is the truth and every message about it is a hint: a lost publish, a
// dead replica or a dropped socket costs time, never the login. The ticket knows
// one jti that never changes, so however often the result is sent, it is one token.
//
// [Service] holds the rules around the steps: it makes scenes and secrets, asks
// for the QR code, falls back to a local [Spool] when the store is away during a
// webhook, mints the result and counts why attempts end. [Issuer] signs.
//
// Goroutines: none of the types starts one. Service.Run, which replays the
// spool, blocks until its context ends and belongs to its caller.
package login
