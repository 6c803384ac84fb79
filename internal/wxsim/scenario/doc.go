// Package scenario plays logins against a running gateway and tells whether any
// was lost, doubled or given to the wrong person.
//
// It has two modes. [Play] runs a file of steps (connect, ask for a code, scan,
// lose the connection, resume, …) and checks what each tab ends up with. [Load]
// runs thousands of logins at once with faults of every kind and keeps a
// ledger. Both drive people through the simulator's headless routes and speak
// Socket.IO with package socketio/client, which is proven against Node's servers:
// nothing of the gateway's code is on this side, so that the two cannot agree on a
// mistake.
//
// Randomness comes from one seed, and each login draws from its own stream: the
// same seed asks for the same things, whatever order the machine runs them in.
//
// Goroutines: each client owns its reader and waits for it in Close; Load waits
// for the logins it started.
package scenario
