package scenario

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
)

// Target is what a run talks to.
type Target struct {
	// Gateways are base URLs of replicas; tabs are spread over them and come
	// back to another one. At least one.
	Gateways []string
	// Simulator is the base URL with its prefix; default: the first gateway's
	// "/sim".
	Simulator string
	// SocketIOPath of the gateways; default "/socket.io/".
	SocketIOPath string
	// Spread lets tabs come from many addresses of 127.0.0.0/8, so that limits
	// per address stay switched on. Without effect where that cannot work: off
	// Linux, and for gateways on other machines.
	Spread bool
}

func (t Target) withDefaults() (Target, error) {
	if len(t.Gateways) == 0 {
		return t, errors.New("scenario: no gateway to talk to")
	}
	bases := make([]string, len(t.Gateways))
	for i, g := range t.Gateways {
		bases[i] = trimBase(g)
	}
	t.Gateways = bases
	t.Spread = t.Spread && runtime.GOOS == "linux" && !slices.ContainsFunc(bases, isElsewhere)
	defaults(&t.Simulator, bases[0]+"/sim")
	t.Simulator = trimBase(t.Simulator)
	defaults(&t.SocketIOPath, "/socket.io/")
	if !strings.HasSuffix(t.SocketIOPath, "/") {
		t.SocketIOPath += "/"
	}
	return t, nil
}

// isElsewhere tells a gateway that cannot be reached from 127.0.0.0/8.
func isElsewhere(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || ip.To4() == nil || !ip.IsLoopback())
}

// keys are those of all replicas together.
func (t Target) keys(ctx context.Context, h *http.Client) (keys, error) {
	all := keys{}
	for _, g := range t.Gateways {
		k, err := fetchKeys(ctx, h, g)
		if err != nil {
			return nil, err
		}
		for id, key := range k {
			all[id] = key
		}
	}
	return all, nil
}

// spreadOver is how many addresses tabs come from.
const spreadOver = 250

func (t Target) dialers() []*dialer {
	if !t.Spread {
		return []*dialer{newDialer(nil, t.SocketIOPath)}
	}
	all := make([]*dialer, spreadOver)
	for i := range all {
		all[i] = newDialer(net.IPv4(127, 10, byte(i/250), byte(1+i%250)), t.SocketIOPath)
	}
	return all
}
