// Package client holds no code: its tests run package socketio/client against the servers
// of the npm packages socket.io 2.5, 3.1 and 4.8, against socket.io on Bun, against ours,
// through nginx, through cut lines and through restarts.
package client
