package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
	"posthouse/socketio/sockettest"
)

func TestServer_Stats_CountsEventsSocketsAndBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ended := make(chan engineio.SessionEnd, 4)
		s := serve(t, &socketio.Options{Engine: engineio.Options{OnSessionEnd: func(e *engineio.SessionEnd) { ended <- *e }}})
		s.OnConnection(func(c *socketio.Socket) { c.On("add", func(e *socketio.Event) { _ = e.Ack(3) }) })
		s.Of("/closed").Use(func(context.Context, *socketio.Socket) error { return errors.New("no") })
		client := s.Connect("/", nil)
		other, err := s.TryConnect("/", nil, &sockettest.DialOptions{Transport: "polling"})
		noError(t, err)
		client.Call("add", 1, 2)
		_ = s.Emit("news", "x")
		client.Expect("news")
		other.Expect("news")
		client.Conn.SendText("0/closed,")
		synctest.Wait()

		st := s.Stats()
		n := st.Namespaces["/"]
		if n.Sockets != 2 || n.EventsIn != 1 || n.EventsOut != 2 {
			t.Errorf("namespace %+v", n)
		}
		e := st.Engine
		if e.Sessions["websocket"] != 1 || e.Sessions["polling"] != 1 || e.Opened["websocket"] != 1 || e.Opened["webtransport"] != 0 {
			t.Errorf("sessions %v, opened %v", e.Sessions, e.Opened)
		}
		// From the clients: two CONNECTs, the event, the CONNECT for /closed.
		if in := len("0") + len("0") + len(`20["add",1,2]`) + len("0/closed,"); e.PacketsIn != 4 || e.BytesIn < uint64(in) {
			t.Errorf("in: %d packets, %d bytes", e.PacketsIn, e.BytesIn)
		}
		if e.PacketsOut != 6 { // two CONNECTs, an answer, two events, a refusal
			t.Errorf("out: %d packets", e.PacketsOut)
		}
		if st.ConnectErrors != 1 {
			t.Errorf("connect errors: %d", st.ConnectErrors)
		}

		time.Sleep(3 * time.Second)
		client.Disconnect()
		client.Close()
		end := receive(t, ended)
		if end.Transport != "websocket" || end.Refused || end.Packets != 8 || end.Duration < 3*time.Second || end.Bytes == 0 || end.ID != client.Conn.SID {
			t.Errorf("end %+v", end)
		}
		synctest.Wait()
		st = s.Stats()
		if got := st.Namespaces["/"].Sockets; got != 1 {
			t.Errorf("%d sockets", got)
		}
		if e := st.Engine; e.Sessions["websocket"] != 0 || e.Closed[end.Reason] != 1 {
			t.Errorf("sessions %v, closed %v", e.Sessions, e.Closed)
		}
	})
}

func TestServer_Stats_ForgottenNamespaceStaysCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serve(t, nil)
		s.OfFunc(func(context.Context, string, json.RawMessage) bool { return true }).OnEvent("ping", func(e *socketio.Event) { _ = e.Ack() })
		client := s.Connect("/room/1", nil)
		client.Call("ping")
		if got := s.Stats().Namespaces["/room/1"]; got.Sockets != 1 || got.EventsIn != 1 {
			t.Errorf("%+v", got)
		}
		client.Disconnect()
		synctest.Wait()
		st := s.Stats()
		if _, there := st.Namespaces["/room/1"]; there || st.Former.EventsIn != 1 || st.Former.Sockets != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestObserver_EventsAndAcks_AreTimed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type seen struct {
			what string
			took time.Duration
		}
		log := make(chan seen, 8)
		s := serve(t, &socketio.Options{Observer: &socketio.Observer{
			SocketConnected: func(c *socketio.Socket, start time.Time, err error) {
				what := "in "
				if err != nil {
					what = "refused "
				}
				log <- seen{what + c.Namespace().Name(), time.Since(start)}
			},
			EventHandled: func(e *socketio.Event, start time.Time) { log <- seen{e.Name(), time.Since(start)} },
			AckReceived:  func(_ *socketio.Socket, start time.Time) { log <- seen{"ack", time.Since(start)} },
		}})
		s.Use(func(context.Context, *socketio.Socket) error { time.Sleep(time.Second); return nil })
		s.Of("/closed").Use(func(context.Context, *socketio.Socket) error { return errors.New("no") })
		s.OnConnection(func(c *socketio.Socket) {
			c.On("work", func(e *socketio.Event) {
				time.Sleep(2 * time.Second)
				_, _ = c.EmitWithAck(c.Context(), "ask")
			})
		})
		client := s.Connect("/", nil)
		client.Conn.SendText("0/closed,")
		client.Emit("work")
		ask := client.Expect("ask")
		time.Sleep(3 * time.Second)
		ask.Ack()
		for _, want := range []seen{{"in /", time.Second}, {"refused /closed", 0}, {"ack", 3 * time.Second}, {"work", 5 * time.Second}} {
			if got := receive(t, log); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		if n := s.Stats().Namespaces["/"]; n.AcksIn != 1 {
			t.Errorf("%+v", n)
		}
	})
}

type traceKey struct{}

func TestObserver_ContextsOfSocketsAndEvents_CarryWhatItAdds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		published := make(chan string, 4)
		s := serve(t, &socketio.Options{Observer: &socketio.Observer{
			SocketConnecting: func(ctx context.Context, _ *socketio.Socket) context.Context {
				return context.WithValue(ctx, traceKey{}, "connect")
			},
			EventStarting: func(ctx context.Context, e *socketio.Event) context.Context {
				return context.WithValue(ctx, traceKey{}, fmt.Sprint(ctx.Value(traceKey{}), ">", e.Name()))
			},
			Publishing: func(ctx context.Context, _ *socketio.Namespace, event string) (string, func(error)) {
				return "", func(err error) { published <- fmt.Sprint(ctx.Value(traceKey{}), ">", event, " ", err) }
			},
		}})
		s.Use(func(ctx context.Context, _ *socketio.Socket) error {
			if ctx.Value(traceKey{}) != "connect" {
				t.Error("the middleware's context")
			}
			return nil
		})
		kept := make(chan *socketio.Event, 1)
		s.OnConnection(func(c *socketio.Socket) {
			c.On("work", func(e *socketio.Event) {
				if socketio.FromContext(e.Context()) != c {
					t.Error("the socket of the context")
				}
				_ = s.To("room").WithContext(e.Context()).Emit("done")
				_ = s.To("room").WithContext(e.Context()).Local().Emit("local")
				kept <- e
			})
		})
		client := s.Connect("/", nil)
		client.Emit("work")
		e := receive(t, kept)
		if got := e.Context().Value(traceKey{}); got != "connect>work" {
			t.Errorf("%v", got)
		}
		if got := receive(t, published); got != "connect>work>done <nil>" || len(published) != 0 {
			t.Errorf("%q, and %d more", got, len(published))
		}
		client.Disconnect()
		client.Close()
		if <-e.Context().Done(); e.Context().Err() == nil {
			t.Error("the context goes on")
		}
	})
}

func TestServer_Stats_ChildrenOfAPattern_StayCountedUnderIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serve(t, nil)
		s.OfPattern("/team/{id}").OnEvent("ping", func(e *socketio.Event) { _ = e.Ack() })
		client := s.Connect("/team/7", nil)
		client.Call("ping")
		if got := s.Stats().Namespaces["/team/7"]; got.Pattern != "/team/{id}" || got.EventsIn != 1 {
			t.Errorf("%+v", got)
		}
		client.Disconnect()
		synctest.Wait()
		synctest.Wait()
		if st := s.Stats(); st.FormerPatterns["/team/{id}"].EventsIn != 1 || st.Former.EventsIn != 0 {
			t.Errorf("%+v", st)
		}
	})
}
