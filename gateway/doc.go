// Package gateway is the product: an Echo application with a Socket.IO server,
// the /login namespace, WeChat's webhook, the login page, health and metrics. The
// binary is a thin shell around it (flags and environment → Config → New → Run);
// tests and programs that embed the gateway use it in the same way.
//
// It is the one place where the two halves of this module meet: the library
// (packages socketio and adapter), which knows nothing of WeChat, and the login
// (package callback and what is internal), which knows nothing of sockets.
//
// # One login
//
// A page joins /login and emits "qrcode". The gateway asks WeChat for a code with
// a random scene, stores the ticket with the id of the socket, and answers. When
// the person has scanned and follows the account, WeChat calls the webhook of any
// replica; it claims the ticket in one atomic step, and the replica which holds
// the socket emits "token" there and disconnects it once the token is delivered.
// The store is the truth: a page that lost its connection resumes with its secret
// and gets the same token from whichever replica it reaches.
//
// # Replicas
//
// A replica keeps nothing that another one could miss, if Config.RedisURL is set:
// tickets and the cluster's messages are in Redis, and a request for a session of
// another replica is relayed to it. Without Redis everything is in memory, for one
// process.
//
// # Configuration
//
// Config is read by kong: its tags name each setting's flag, environment variable
// and default, and a YAML file may hold the same names. New checks everything and
// names in its errors the setting and the fix. Secrets are of type Secret, which
// formats as "***".
//
// # Goroutines
//
// New binds the address and starts nothing. Run owns the HTTP servers, the login
// service, the namespace's timers, the refresh of WeChat's addresses and the
// replica's heartbeat; it ends them in the order of a drain when its context ends
// (not ready, no new clients, logins finished, sockets closed, webhooks answered)
// and waits for all of them.
package gateway
