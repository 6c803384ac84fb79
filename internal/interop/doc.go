// Package interop holds no code. The packages below it test what is built against
// real peers: npm packages, redis-server, nginx, HAProxy, Chromium. What is missing is
// skipped, or fails with POSTHOUSE_TEST_ALL set, as `make test` does.
//
// The library:
//
//   - protocol: engines and servers from outside, check by check, beside Node's; the
//     forty behaviours of docs/conformance.md, also of other servers (make conformance-peers)
//   - sioclients: the socket.io-client of npm from 2.0 to 4.8; writes the matrix of docs/clients.md
//   - cluster: examples/cluster as people run it, Go and Node in one cluster
//   - history: what clients of a cluster saw while nodes were killed and cut off, held against the
//     delivery guarantees of docs/reliability.md §5
//   - backend: the back ends of examples/backend behind package hook, with real clients
//
// The gateway:
//
//   - gateway: one built gateway, or three, held to the contract of docs/login.md: keys,
//     codes, routes, headers, order of events, settings
//   - cluster: replicas, Redis and balancers that are killed while people log in, and
//     the shipped configurations of nginx and HAProxy
//   - chaos: the fault and abuse matrices of docs/reliability.md as a command (docs/chaos.md)
//   - browser: the login page, the element and the front ends of others in Chromium
//     and with the real client; the scenarios of the local WeChat
//
// The command:
//
//   - doctor: nginx and HAProxy before Node's servers and the gateway, broken one by one
//
// Tools: internal/testenv starts processes and builds programs, node holds the npm packages.
//
// # Where a login over replicas is tested
//
// In seven places, each of which can break while the others hold:
//
//   - internal/login: what the store decides when claims, results and cancels of several
//     replicas meet; memory and Redis alike, in every interleaving (TestService_Claim…)
//   - callback (repeat_test.go, guarantees_test.go): copies and repeats of one push at
//     several replicas are one login with one answer (TestPush_Copies…)
//   - gateway (login_races_test.go): the notice from the replica with the push to the one
//     with the socket, in memory: lost notices, rolled replicas, reloads (TestLogin_…)
//   - gateway (login_redis_test.go): the same over a real redis-server that is killed, and
//     what passes through it
//   - interop/gateway (replicas_test.go): three built gateways, seen by their users
//   - interop/cluster: a thousand logins over replicas behind a balancer, while replicas
//     and Redis are killed
//   - interop/chaos: each fault of docs/reliability.md §3 by itself, with its bar
//
// A fault of the decision belongs into the first, of the webhook into the second, of the
// way between replicas into the third and fourth; the last three show that nothing was
// forgotten in between.
package interop
