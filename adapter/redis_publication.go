package adapter

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"
)

// publication is a PUBLISH in memory that is used again, because a node may publish tens of
// thousands of messages a second.
type publication struct {
	command          once // its arguments are the next two
	channel, payload argument
}

// argument is one of a command. Its address costs no memory as a value of args.
type argument []byte

// MarshalBinary implements encoding.BinaryMarshaler: what is sent.
func (a *argument) MarshalBinary() ([]byte, error) { return *a, nil }

// String is for hooks of the client that show commands.
func (a *argument) String() string { return string(*a) }

var publications = sync.Pool{New: func() any {
	p := new(publication)
	p.command = once{redis.NewCmd(context.Background(), "publish", &p.channel, &p.payload)}
	return p
}}

// newPublication returns an empty one. The publisher gives its memory back.
func newPublication() *publication { return publications.Get().(*publication) }

// keptPayload bounds the memory that a publication keeps for the next message.
const keptPayload = 4 << 10

// done lets the memory be used again, unless the client may still have it.
func (p *publication) done(err error) {
	if err != nil && !isRefusal(err) || cap(p.payload) > keptPayload {
		return
	}
	p.command.SetErr(nil)
	p.command.SetVal(nil)
	p.channel, p.payload = p.channel[:0], p.payload[:0]
	publications.Put(p)
}

// isRefusal reports whether Redis has answered that it does not run a command.
func isRefusal(err error) bool {
	var refused redis.Error
	return errors.As(err, &refused)
}

// publish queues a publication.
func (p *publisher) publish(m *publication) error {
	return p.queueCommand(redisCommand{publication: m, byteSize: len(m.channel) + len(m.payload) + 64})
}

// owner is the key whose server gets the command.
func (c *redisCommand) owner() string {
	if c.publication != nil {
		return string(c.publication.channel)
	}
	return c.key
}

// command is what the client sends.
func (c *redisCommand) command(ctx context.Context) once {
	if c.publication != nil {
		return c.publication.command
	}
	return once{redis.NewCmd(ctx, c.args...)}
}

// arguments are those of the command, as other commands have them.
func (c *redisCommand) arguments() []any {
	if m := c.publication; m != nil {
		return []any{"publish", string(m.channel), []byte(m.payload)}
	}
	return c.args
}
