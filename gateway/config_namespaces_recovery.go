package gateway

import (
	"time"

	"posthouse/socketio"
)

// maxRecovery bounds recovery: Redis holds the session of every socket for as long.
const maxRecovery = time.Hour

func (n *Namespace) normalizeRecovery(key func(string) string) (err error) {
	if n.Recovery == "" {
		return nil
	}
	if n.keepFor, err = parseDuration(n.Recovery); err != nil || n.keepFor < time.Second || n.keepFor > maxRecovery {
		return keyError(key("recovery"), n.Recovery, "write how long a client may be away, from 1s to 1h, such as 2m")
	}
	return nil
}

// recoveryByNamespace is the recovery of the configured namespaces. No other namespace
// has it: what /login sends must not be stored.
func recoveryByNamespace(list []Namespace) map[string]*socketio.Recovery {
	all := map[string]*socketio.Recovery{}
	for _, n := range list {
		if n.keepFor > 0 {
			all[n.Name] = &socketio.Recovery{MaxDisconnection: n.keepFor}
		}
	}
	return all
}
