package socketio

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
)

// Options configures a Server. The zero value of a field means the default of
// the Node server; nil options mean all defaults. They are read once, by
// NewServer.
type Options struct {
	// Engine configures what is below: transports, heartbeat, size limits, CORS,
	// revision 3 clients. Accept is the server's own and ignored; Path defaults
	// to "/socket.io/".
	Engine engineio.Options

	// NewAdapter makes the adapter of each namespace. Default: in memory.
	NewAdapter NewAdapter
	// Codec is the packet format: unless set parser.Default, with the attachments
	// of one packet bounded together by Engine.MaxPayload. Clients must use the same
	// one.
	Codec parser.Codec
	// ConnectTimeout is how long a connection may stay without joining any
	// namespace. Default 45 s; negative: without end.
	ConnectTimeout time.Duration
	// Recovery turns connection state recovery on.
	Recovery *Recovery
	// RecoveryByNamespace replaces Recovery for the namespaces it names: by their name, or
	// by the pattern that OfPattern was given. Nil turns recovery off for one, whose
	// sessions and packets are then kept nowhere.
	RecoveryByNamespace map[string]*Recovery
	// KeepEmptyNamespaces keeps dynamic namespaces whose last socket left. They
	// are forgotten by default (unlike in Node), since clients choose their names.
	KeepEmptyNamespaces bool
	// Bundles holds the client files to serve below Path, by their fixed names
	// (see BundleNames): clientdist.FS() has the official ones. Nil serves none.
	Bundles fs.FS
	// ConnContext derives the context of a connection's sockets from its first
	// HTTP request: the place to keep what a login middleware in front found
	// out. The request is valid only during the call, and so is its own context:
	// derive from ctx.
	ConnContext func(ctx context.Context, r *http.Request) context.Context
	// ConnClosed is told once when a connection has ended, with the context that
	// ConnContext gave it: the place to give back what was counted there. It
	// must not block.
	ConnClosed func(ctx context.Context)
	// ClientAddress tells the address shown in Handshake.Address, for servers
	// behind proxies. Default: the host part of r.RemoteAddr.
	ClientAddress func(r *http.Request) string
	// PrivateHandshake names the fields of handshakes that no FetchSockets tells, on
	// this node or another: "auth.name", "headers.name" or "query.name" (the last
	// takes the query off the URL too). Nil means "auth.token", "auth.pid" and
	// "headers.authorization"; an empty list hides nothing, as in Node.
	PrivateHandshake []string
	// Observer learns how long events and acknowledgements take; nil: nothing is timed.
	Observer *Observer
	// Limits are the bounds of what clients may ask for.
	Limits Limits
	// Logger gets what operators should see; nil means slog.Default(), as in every
	// package here. slog.New(slog.DiscardHandler) is silent.
	Logger *slog.Logger
}

// Recovery configures connection state recovery: a client that lost its connection
// continues its socket with the private session id that it was given, also when the
// server has not noticed the loss yet. See
// docs/protocol.md §3.8.
type Recovery struct {
	// MaxDisconnection is how long a lost socket can come back. Default 2 minutes.
	MaxDisconnection time.Duration
	// SkipMiddlewares lets recovered sockets in without asking the namespace's
	// middlewares again. Set it only when what they check cannot change while a
	// client is away: a token may expire or be revoked.
	SkipMiddlewares bool
	// MaxPackets bounds the packets each namespace keeps in memory for sockets that come
	// back; beyond it the oldest are forgotten, and who missed one of those gets a
	// fresh session. Default 10 000. Used by the in-memory store only.
	MaxPackets int
}

// withDefaults returns a completed copy; nil stays nil.
func (r *Recovery) withDefaults() *Recovery {
	if r == nil {
		return nil
	}
	v := *r
	orDefault(&v.MaxDisconnection, 2*time.Minute)
	orDefault(&v.MaxPackets, 10_000)
	return &v
}

// recoveryOf is the recovery of a namespace, nil without.
func (o *Options) recoveryOf(n *Namespace) *Recovery {
	if r, named := o.RecoveryByNamespace[n.name]; named {
		return r
	}
	if n.parent != nil && n.parent.pattern != nil {
		if r, named := o.RecoveryByNamespace[n.parent.pattern.String()]; named {
			return r
		}
	}
	return o.Recovery
}

// Limits bound what one client can make the server hold. Zero means the
// default, a negative value no limit.
type Limits struct {
	// AttachmentTimeout is how long a binary packet may miss attachments before
	// its connection is closed. Default 10 s.
	AttachmentTimeout time.Duration
	// Namespaces is how many namespaces a connection may join. Default 16.
	Namespaces int
	// RefusedConnects is how many CONNECTs of one connection may be refused at
	// once, and ten more with each second: to namespaces that do not exist, by
	// middlewares, or by the limits here. More of them close the connection; until
	// then a refusal does not touch the other namespaces of the connection.
	// Default 32.
	RefusedConnects int
	// AuthBytes is the longest CONNECT payload. Default 8 KiB.
	AuthBytes int
	// Events is how many received events wait for a socket's handlers before its
	// connection is no longer read. Default 64. It rises sixteenfold while the
	// server waits for an acknowledgement of that socket, which comes on the same
	// connection.
	Events int
	// EventsPerSecond is how many events a socket may send per second in the long
	// run, and EventsBurst how many at once: default none and twice EventsPerSecond.
	// An event too many is dropped; a client that asked for an acknowledgement gets
	// {"error":{"code":"rate_limited","message":…,"retryAfter":seconds}}, and the
	// functions of OnError get a RateError. A client that goes on and has three
	// bursts dropped is disconnected with its connection. Namespace.LimitEvents sets
	// another rate for one namespace.
	EventsPerSecond float64
	EventsBurst     int
	// EventBytes is Events in bytes. Default 1 MiB.
	EventBytes int
	// Acks is how many acknowledgements the server waits for per socket; one more
	// and the oldest ends with ErrTimeout. Default 1000.
	Acks int
	// AckTimeout ends the wait for an acknowledgement when neither the context nor Timeout does.
	// Default 10 s.
	AckTimeout time.Duration
	// Rooms is how many rooms a socket may be in, besides its own. Default 256.
	Rooms int
	// RoomName is the longest name of a room in bytes. Default 255.
	RoomName int
}

func (o *Options) withDefaults() Options {
	var v Options
	if o != nil {
		v = *o
	}
	if v.Engine.Path == "" {
		v.Engine.Path = "/socket.io/"
	}
	if v.Codec == nil {
		total := v.Engine.MaxPayload
		if total <= 0 {
			total = defaultMaxPayload
		}
		v.Codec = parser.Default(&parser.Options{MaxAttachmentBytes: total})
	}
	if v.PrivateHandshake == nil {
		v.PrivateHandshake = defaultPrivateHandshake
	}
	if v.ConnectTimeout == 0 {
		v.ConnectTimeout = 45 * time.Second
	}
	if v.Logger == nil {
		v.Logger = slog.Default()
	}
	if v.Engine.Logger == nil {
		v.Engine.Logger = v.Logger
	}
	if v.ClientAddress == nil {
		v.ClientAddress = remoteHost
	}
	if v.Observer == nil {
		v.Observer = new(Observer)
	}
	v.Recovery = v.Recovery.withDefaults()
	byNamespace := make(map[string]*Recovery, len(v.RecoveryByNamespace))
	for name, r := range v.RecoveryByNamespace {
		byNamespace[name] = r.withDefaults()
	}
	v.RecoveryByNamespace = byNamespace
	l := &v.Limits
	orDefault(&l.AttachmentTimeout, 10*time.Second)
	orDefault(&l.Namespaces, 16)
	orDefault(&l.RefusedConnects, 32)
	orDefault(&l.AuthBytes, 8<<10)
	orDefault(&l.Events, 64)
	orDefault(&l.EventBytes, 1<<20)
	orDefault(&l.Acks, 1000)
	orDefault(&l.AckTimeout, 10*time.Second)
	orDefault(&l.Rooms, 256)
	orDefault(&l.RoomName, 255)
	return v
}

const defaultMaxPayload = 1_000_000 // bytes, Node's maxHttpBufferSize

func orDefault[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// exceeds reports whether n exceeds a limit of which negative means none.
func exceeds(n, limit int) bool { return limit >= 0 && n > limit }
