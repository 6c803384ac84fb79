package socketio_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// offsetOf is the offset that recovery appended to an event.
func offsetOf(t *testing.T, m *sockettest.Message) (offset string) {
	t.Helper()
	n := 0
	for m.Args.JSON(n+1) != "" {
		n++
	}
	noError(t, m.Args.Bind(n, &offset))
	return offset
}

// A client that changed its network comes back before the server has noticed: it
// continues its socket, misses nothing, and the old one ends as a lost one does.
func TestRecovery_TakesOverTheOldConnection(t *testing.T) {
	for _, transport := range []string{"websocket", "polling"} {
		for _, received := range []bool{true, false} { // whether the client has an offset
			t.Run(fmt.Sprint(transport, " offset ", received), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					srv := serve(t, &socketio.Options{Recovery: &socketio.Recovery{}})
					name := socketio.NewKey[string]("name")
					log := make(chan string, 8) // of the old socket
					srv.OnConnection(func(s *socketio.Socket) {
						if s.Recovered() {
							return
						}
						s.OnDisconnecting(func(r socketio.Reason) { log <- fmt.Sprintf("%s %t %d", r, s.InRoom("room"), len(s.Rooms())) })
						s.OnDisconnect(func(r socketio.Reason) { log <- fmt.Sprintf("%s %t %d", r, s.InRoom("room"), len(s.Rooms())) })
					})
					noError(t, srv.Emit("before"))
					old, err := srv.TryConnect("/", nil, &sockettest.DialOptions{Transport: transport})
					noError(t, err)
					s := srv.Socket(old.ID)
					noError(t, s.Join("room"))
					name.Set(s, "ada")
					auth := map[string]string{"pid": old.PID}
					if received {
						noError(t, s.Emit("first"))
						auth["offset"] = offsetOf(t, old.Expect("first"))
					}
					noError(t, srv.To("room").Emit("missed", 1)) // into the dead connection
					noError(t, srv.To("elsewhere").Emit("not for it"))
					noError(t, s.Emit("missed", 2))
					synctest.Wait()

					back := srv.Connect("/", auth)
					if back.ID != old.ID || back.PID != old.PID {
						t.Fatalf("a new session: %s after %s", back.ID, old.ID)
					}
					for i := range 2 {
						want(t, back.Next().Args.JSON(0), fmt.Sprint(i+1))
					}
					want(t, <-log, "transport close true 2") // in OnDisconnecting, still with its rooms
					want(t, <-log, "transport close false 0")
					now := srv.Socket(back.ID)
					got, _ := name.Of(now)
					if now == s || !now.Recovered() || !now.InRoom("room") || got != "ada" || s.Connected() {
						t.Errorf("rooms %v, data %q", now.Rooms(), got)
					}
					noError(t, srv.To("room").Emit("live"))
					back.Expect("live")
					back.Quiet()
					noError(t, srv.LocalAdapter().DisconnectSockets(bg, socketio.BroadcastOptions{}, false))
					synctest.Wait()
					if rooms := srv.LocalAdapter().Rooms(); len(rooms) != 0 {
						t.Errorf("rooms %v are left", rooms)
					}
				})
			})
		}
	}
}

// The end of the old socket has begun but waits behind a slow handler: its session
// is there all the same, and its rooms end with it once.
func TestRecovery_TakesOverASocketThatIsEnding(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, &socketio.Options{Recovery: &socketio.Recovery{}})
		release := make(chan struct{})
		ended := 0
		srv.OnEvent("slow", func(*socketio.Event) { <-release })
		srv.OnDisconnect(func(*socketio.Socket, socketio.Reason) { ended++ })
		c := srv.Connect("/", nil)
		noError(t, srv.Socket(c.ID).Join("room"))
		c.Emit("slow")
		synctest.Wait()
		c.Close()
		synctest.Wait()
		back := srv.Connect("/", map[string]string{"pid": c.PID})
		if back.ID != c.ID {
			t.Fatal("not recovered")
		}
		close(release)
		synctest.Wait()
		if ended != 1 || !slices.Equal(srv.LocalAdapter().Members("room"), []string{c.ID}) {
			t.Errorf("%d ended, members %v", ended, srv.LocalAdapter().Members("room"))
		}
	})
}

// Only what a lost connection would leave behind is taken over, and only by its
// private id.
func TestRecovery_TakesOverNothingThatHasLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, &socketio.Options{Recovery: &socketio.Recovery{}})
		release := make(chan struct{})
		srv.OnEvent("slow", func(*socketio.Event) { <-release })
		leave := map[string]func(c *sockettest.Client){
			"the client": func(c *sockettest.Client) { c.Disconnect() },
			"the server": func(c *sockettest.Client) { srv.Socket(c.ID).Disconnect(false) },
		}
		for name, end := range leave {
			c := srv.Connect("/", nil)
			c.Emit("slow")
			synctest.Wait()
			end(c)
			synctest.Wait()
			if back := srv.Connect("/", map[string]string{"pid": c.PID}); back.ID == c.ID {
				t.Errorf("%s had ended the socket", name)
			}
		}
		close(release)
		c := srv.Connect("/", nil)
		for _, pid := range []string{c.ID, c.Conn.SID, c.PID[:19], c.PID + "x", strings.ToUpper(c.PID), strings.Repeat("A", 20)} {
			if back := srv.Connect("/", map[string]string{"pid": pid}); back.ID == c.ID {
				t.Errorf("taken over with %q", pid)
			}
		}
		if s := srv.Socket(c.ID); s == nil || !s.Connected() {
			t.Error("a wrong id ended the socket")
		}
	})
}

// A client whose new connection dies before it was let in has not used its session up.
func TestRecovery_SurvivesAConnectionThatIsLostAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		entered := make(chan struct{}, 1)
		srv := serve(t, &socketio.Options{Recovery: &socketio.Recovery{}})
		block := false
		srv.Use(func(c ctx, s *socketio.Socket) error {
			if block && s.Recovered() {
				entered <- struct{}{}
				<-c.Done()
				return errors.New("gone")
			}
			return nil
		})
		c := srv.Connect("/", nil)
		noError(t, srv.Socket(c.ID).Join("room"))
		noError(t, srv.Emit("x"))
		auth := map[string]string{"pid": c.PID, "offset": offsetOf(t, c.Expect("x"))}
		block = true
		flapping := dial(t, srv, nil)
		text, err := json.Marshal(auth)
		noError(t, err)
		flapping.SendText("0" + string(text))
		<-entered
		flapping.Close()
		synctest.Wait()
		block = false
		noError(t, srv.To("room").Emit("missed"))
		back := srv.Connect("/", auth)
		if back.ID != c.ID {
			t.Fatal("not recovered")
		}
		back.Expect("missed")
	})
}

// On a server that sends nothing to this client for longer than sessions are kept,
// the log forgets everything, and nothing is missed.
func TestRecovery_OfAQuietClient(t *testing.T) {
	for _, received := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			srv := serve(t, &socketio.Options{Recovery: &socketio.Recovery{MaxPackets: 4}})
			for range 20 {
				noError(t, srv.Emit("before"))
			}
			c := srv.Connect("/", nil)
			auth := map[string]string{"pid": c.PID}
			if received {
				noError(t, srv.Emit("x"))
				auth["offset"] = offsetOf(t, c.Expect("x"))
			}
			time.Sleep(time.Hour)
			c.Close()
			synctest.Wait()
			time.Sleep(time.Minute)
			noError(t, srv.Emit("missed"))
			back := srv.Connect("/", auth)
			if back.ID != c.ID {
				t.Fatalf("not recovered, offset %t", received)
			}
			back.Expect("missed")
			back.Quiet()

			// But where something was forgotten that it may have missed, it starts anew.
			back.Close()
			synctest.Wait()
			for range 20 {
				noError(t, srv.Emit("flood"))
			}
			if again := srv.Connect("/", auth); again.ID == c.ID {
				t.Errorf("recovered with a gap, offset %t", received)
			}
		})
	}
}
