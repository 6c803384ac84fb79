package main

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/zishang520/socket.io/servers/socket/v3"
)

func withEIO3(o *socket.ServerOptions) { o.SetAllowEIO3(true) }

func withRecovery(o *socket.ServerOptions) {
	o.SetConnectionStateRecovery(socket.DefaultConnectionStateRecovery())
}

func tagOf(s *socket.Socket) string {
	tag, _ := s.Handshake().Auth["tag"].(string)
	return tag
}

// newEvents is what behaviours.js asks a Socket.IO server for.
func (j *journal) newEvents(more func(*socket.ServerOptions)) http.Handler {
	o := socket.DefaultServerOptions()
	o.SetCleanupEmptyChildNamespaces(true)
	if more != nil {
		more(o)
	}
	io := socket.NewServer(nil, o)
	late := io.Of("/late", nil)
	late.Use(func(s *socket.Socket, next func(*socket.ExtendedError)) {
		s.Join("waiting")
		<-time.After(150 * time.Millisecond)
		if s.Handshake().Auth["fail"] == true {
			next(socket.NewExtendedError("no", map[string]int{"a": 1}))
			return
		}
		next(nil)
	})
	accept(late, func(s *socket.Socket) { j.add(tagOf(s), "connected") })
	io.Of("/refuse", nil).Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) {
		next(socket.NewExtendedError("refused", map[string]int{"code": 7}))
	})
	accept(io.Of(regexp.MustCompile(`^/dyn-\w+$`), nil), func(s *socket.Socket) { _ = s.Emit("in", s.Nsp().Name()) })
	must(io.On("new_namespace", func(args ...any) { j.add(args[0].(socket.Namespace).Name(), "new") }))
	accept(io.Sockets(), func(s *socket.Socket) { j.connection(io, s) })
	return io.ServeHandler(o)
}

// rooms reads a list of names from JSON.
func rooms(v any) []socket.Room {
	list, _ := v.([]any)
	found := make([]socket.Room, len(list))
	for i, name := range list {
		found[i] = room(name)
	}
	return found
}

func room(v any) socket.Room { return socket.Room(fmt.Sprint(v)) }

func (j *journal) connection(io *socket.Server, s *socket.Socket) {
	tag := tagOf(s)
	emit := func(event string, args ...any) { _ = s.Emit(event, args...) }
	emit("welcome")
	inside := func() []socket.Room {
		list := slices.DeleteFunc(s.Rooms().Keys(), func(r socket.Room) bool { return r == socket.Room(s.Id()) })
		slices.Sort(list)
		return append([]socket.Room{}, list...)
	}
	must(s.On("disconnecting", func(args ...any) { j.add(tag, "disconnecting %v %d", args[0], len(inside())) }))
	must(s.On("disconnect", func(args ...any) {
		s.Join("after")
		if tag == "nobody" {
			emit("nobody")
		}
		j.add(tag, "disconnect %v %d", args[0], len(inside()))
	}))
	must(s.On("error", func(...any) { j.add(tag, "error") }))
	on(s, "join", func(ack func(...any), args []any) {
		s.Join(rooms(arg(args, 0))...)
		ack(inside())
	})
	on(s, "leave", func(ack func(...any), args []any) {
		s.Leave(room(arg(args, 0)))
		ack(inside())
	})
	on(s, "to", func(ack func(...any), args []any) {
		_ = io.To(rooms(arg(args, 0))...).Except(rooms(arg(args, 1))...).Emit("hit", arg(args, 2))
		ack()
	})
	on(s, "others", func(ack func(...any), _ []any) {
		_ = s.Broadcast().Emit("hit", "others")
		ack()
	})
	on(s, "reuse", func(ack func(...any), args []any) {
		op := io.To(room(arg(args, 0)))
		_ = op.To(room(arg(args, 1))).Emit("hit", "both")
		_ = op.Emit("hit", "first")
		ack()
	})
	must(s.On("volatile", func(...any) {
		_ = s.Volatile().Emit("v", 1)
		_ = s.Volatile().Emit("v", 2)
		emit("r")
	}))
	must(s.On("volatile binary", func(...any) {
		_ = s.Volatile().Emit("v", []byte{1}, []byte{2})
		_ = s.Volatile().Emit("v", []byte{3}, []byte{4})
		emit("r", []byte{5})
	}))
	must(s.On("storm", func(...any) {
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() { emit("bin", i, []byte{byte(i), 0}, []byte{byte(i), 1}) })
		}
		all.Wait()
		emit("done")
	}))
	on(s, "ack twice", func(ack func(...any), _ []any) {
		ack(1)
		ack(2)
	})
	on(s, "ack late", func(ack func(...any), _ []any) {
		go func() {
			<-time.After(50 * time.Millisecond)
			ack("late", []byte{1})
		}()
	})
	on(s, "ask room", func(ack func(...any), args []any) {
		io.To(room(arg(args, 0))).Timeout(300 * time.Millisecond).EmitWithAck("question")(func(answers []any, err error) {
			ack(err != nil, append([]any{}, answers...))
		})
	})
	must(s.On("ask me", func(...any) {
		s.Timeout(100 * time.Millisecond).EmitWithAck("question")(func(answer []any, err error) {
			if err != nil {
				emit("asked", err.Error())
				return
			}
			emit("asked", nil, arg(answer, 0))
		})
	}))
	on(s, "kick", func(_ func(...any), args []any) {
		all, _ := arg(args, 0).(bool)
		s.Disconnect(all)
	})
	on(s, "slow", func(_ func(...any), args []any) {
		<-time.After(20 * time.Millisecond)
		emit("slow", arg(args, 0))
	})
	on(s, "waiting", func(ack func(...any), _ []any) {
		_, there := io.Of("/late", nil).Adapter().Rooms().Load("waiting")
		ack(there)
	})
	on(s, "fetch", func(ack func(...any), args []any) {
		io.In(room(arg(args, 0))).FetchSockets()(func(list []*socket.RemoteSocket, _ error) { ack(len(list)) })
	})
	must(s.On("flush", func(...any) { emit("flush") }))
}
