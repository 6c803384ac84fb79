package admin

import (
	"errors"

	"posthouse/socketio"
)

// command is what an administrator asks for, without an acknowledgement. Filters are
// names of rooms, of which a socket's id is one; no filter means the whole namespace.
type command struct {
	name      string
	namespace string
	room      string
	event     string
	filter    string
	close     bool
	args      socketio.Args
}

var (
	errUnknownNamespace = errors.New("no such namespace on this node")
	errPrivateNamespace = errors.New("the namespace is private")
	errReservedEvent    = errors.New("the name of the event is reserved")
)

// registerCommands is called before the socket has events.
func (a *Admin) registerCommands(s *socketio.Socket) {
	on := func(name string, read func(c *command, filter **string, e *socketio.Event) error) {
		s.On(name, func(e *socketio.Event) {
			c := command{name: name}
			var filter *string
			err := read(&c, &filter, e)
			if filter != nil {
				c.filter = *filter
			}
			if err == nil {
				err = a.carryOut(s, &c)
			}
			a.logCommand(s, &c, err)
		})
	}
	on("emit", func(c *command, filter **string, e *socketio.Event) error {
		if err := e.Bind(&c.namespace, filter, &c.event, &c.args); err != nil {
			return err
		}
		c.args = c.args.Clone() // kept by the adapter
		return nil
	})
	on("join", func(c *command, filter **string, e *socketio.Event) error {
		return e.Bind(&c.namespace, &c.room, filter)
	})
	on("leave", func(c *command, filter **string, e *socketio.Event) error {
		return e.Bind(&c.namespace, &c.room, filter)
	})
	on("_disconnect", func(c *command, filter **string, e *socketio.Event) error {
		return e.Bind(&c.namespace, &c.close, filter)
	})
}

// carryOut passes a command to the sockets of all nodes. It waits for none of them.
func (a *Admin) carryOut(s *socketio.Socket, c *command) error {
	n := a.existing(c.namespace)
	if n == nil {
		return errUnknownNamespace
	}
	if a.isPrivate(c.namespace) && c.name != "_disconnect" {
		return errPrivateNamespace
	}
	to := n.To()
	if c.filter != "" {
		to = n.To(c.filter)
	}
	switch c.name {
	case "emit":
		err := to.Emit(c.event, c.args)
		if errors.Is(err, socketio.ErrReserved) {
			return errReservedEvent
		}
		return err
	case "join":
		return to.SocketsJoin(a.ctx, c.room)
	case "leave":
		return to.SocketsLeave(a.ctx, c.room)
	default:
		return to.DisconnectSockets(a.ctx, c.close)
	}
}

// existing finds a namespace without making it.
func (a *Admin) existing(name string) *socketio.Namespace {
	for _, n := range a.io.Namespaces() {
		if n.Name() == name {
			return n
		}
	}
	return nil
}

// logCommand writes the audit line.
func (a *Admin) logCommand(s *socketio.Socket, c *command, err error) {
	attrs := []any{
		"command", c.name, "address", s.Handshake().Address, "namespace", cut(c.namespace), "room", cut(c.room),
		"event", cut(c.event), "filter", cut(c.filter), "close", c.close,
	}
	if err != nil {
		a.log.Warn("socketio/admin: command ignored", append(attrs, "error", err)...)
		return
	}
	a.counts.commands.Add(1)
	a.log.Info("socketio/admin: command", attrs...)
}
