package socketio_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/engineio"
	"posthouse/socketio/sockettest"
)

// The rows of the reliability notes that are this package's: 2.1 and 4.

func TestLimitConnectTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		srv.Use(func(ctx, *socketio.Socket) error { return &socketio.ConnectError{Message: "no"} })
		c := dial(t, srv, nil)
		c.SendText("0") // refused: the clock runs on
		c.Text()
		time.Sleep(44 * time.Second)
		c.SendText("0")
		c.Text()
		time.Sleep(2 * time.Second)
		c.Closed()

		srv.Of("/ok")
		c = joined(t, srv, nil, "0/ok")
		c.SendText("1/ok,")
		time.Sleep(2 * time.Minute)
		c.SendText("0/ok")
		c.Text() // still there
	})
}

func TestLimitAttachmentsMustCome(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		srv.OnEvent("b", func(e *socketio.Event) { _ = e.Socket().Emit("got") })
		packet := engineio.Message{Data: []byte(`51-["b",{"_placeholder":true,"num":0}]`)}
		c := joined(t, srv, nil, "0")
		noError(t, c.Send(packet))
		time.Sleep(9 * time.Second)
		noError(t, c.Send(engineio.Message{Data: []byte{1}, Binary: true}))
		want(t, c.Text(), `2["got"]`)
		time.Sleep(time.Minute) // the timer is off
		noError(t, c.Send(packet))
		time.Sleep(11 * time.Second)
		c.Closed()
	})
}

func TestLimitNamespaces(t *testing.T) {
	srv := serve(t, nil)
	for i := range 20 {
		srv.Of(fmt.Sprint("/n", i))
	}
	c := dial(t, srv, nil)
	for i := range 16 {
		c.SendText(fmt.Sprint("0/n", i))
		if got := c.Text(); !strings.HasPrefix(got, fmt.Sprintf(`0/n%d,{"sid"`, i)) {
			t.Fatalf("answer %s", got)
		}
	}
	c.SendText("0/n16")
	want(t, c.Text(), `4/n16,{"message":"too many namespaces"}`)
	c.SendText("1/n3,")
	c.SendText("0/n16")
	if got := c.Text(); !strings.HasPrefix(got, `0/n16,{"sid"`) {
		t.Errorf("answer %s", got)
	}
}

// A page that asks for namespaces that are gone keeps the others, however it asks:
// before or after them, at once or again and again.
func TestConnect_RefusedNamespacesLeaveTheOthersAlone(t *testing.T) {
	for name, order := range map[string][]string{
		"the good one first": {"0", "0/x0", "0/x1", "0/x2", "0/x3", "0/x4", "0/x5", "0/x6"},
		"the good one last":  {"0/x0", "0/x1", "0/x2", "0/x3", "0/x4", "0/x5", "0/x6", "0"},
	} {
		for _, transport := range []string{"websocket", "polling"} {
			t.Run(name+", "+transport, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					srv := serve(t, nil)
					srv.OnEvent("ping", func(e *socketio.Event) { noError(t, e.Ack()) })
					c := dial(t, srv, &sockettest.DialOptions{Transport: transport})
					answers := map[string]int{}
					for _, text := range order {
						c.SendText(text)
					}
					for range order {
						kind, _, _ := strings.Cut(c.Text(), "/")
						answers[kind[:1]]++
					}
					if answers["0"] != 1 || answers["4"] != 7 {
						t.Fatalf("answers %v", answers)
					}
					for range 20 { // the page tries the seven again every second
						time.Sleep(time.Second)
						for i := range 7 {
							c.SendText(fmt.Sprint("0/x", i))
						}
						for range 7 {
							if got := c.Text(); !strings.HasSuffix(got, `{"message":"Invalid namespace"}`) {
								t.Fatalf("answer %s", got)
							}
						}
					}
					c.SendText(`21["ping"]`)
					want(t, c.Text(), "31[]")
				})
			})
		}
	}
}

// A flood of CONNECTs that are refused ends the connection, whatever refuses them.
func TestConnect_FloodOfRefusalsClosesTheConnection(t *testing.T) {
	for name, tc := range map[string]struct {
		connect func(i int) string
		answer  string
	}{
		"unknown namespaces": {func(i int) string { return fmt.Sprint("0/x", i) }, `{"message":"Invalid namespace"}`},
		"a middleware":       {func(int) string { return "0/members" }, `4/members,{"message":"no"}`},
		"too long auth":      {func(int) string { return `0{"token":"` + strings.Repeat("x", 9000) + `"}` }, `4{"message":"auth too large"}`},
		"too many":           {func(int) string { return "0" }, `4{"message":"too many namespaces"}`},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var log testenv.Buffer
				srv := serve(t, &socketio.Options{
					Logger: slog.New(slog.NewTextHandler(&log, nil)),
					Limits: socketio.Limits{Namespaces: 1},
				})
				srv.Of("/joined")
				srv.Of("/members").Use(func(ctx, *socketio.Socket) error { return &socketio.ConnectError{Message: "no"} })
				c := dial(t, srv, nil)
				if name == "too many" {
					c.SendText("0/joined")
					c.Text()
				}
				for i := range 32 {
					c.SendText(tc.connect(i))
					if got := c.Text(); !strings.HasSuffix(got, tc.answer) {
						t.Fatalf("answer %d: %s", i, got)
					}
				}
				c.SendText(tc.connect(32))
				c.Closed()
				if n := strings.Count(log.String(), "setting=Limits.RefusedConnects"); n != 1 {
					t.Errorf("the log has %s", log.String())
				}
			})
		})
	}
}

func TestLimitAuthSize(t *testing.T) {
	srv := serve(t, nil)
	c := dial(t, srv, nil)
	c.SendText(`0{"token":"` + strings.Repeat("x", 9000) + `"}`)
	want(t, c.Text(), `4{"message":"auth too large"}`)
	c.SendText(`0{"token":"` + strings.Repeat("x", 8000) + `"}`)
	if got := c.Text(); !strings.HasPrefix(got, `0{"sid"`) {
		t.Errorf("answer %s", got)
	}
}

func TestLimitPendingAcks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, &socketio.Options{Limits: socketio.Limits{Acks: 3}})
		c := srv.Connect("/", nil)
		s := srv.Socket(c.ID)
		results := make(chan string, 8)
		ask := func(name string) {
			noError(t, s.EmitAck(name, func(_ socketio.Args, err error) {
				results <- fmt.Sprint(name, " ", errors.Is(err, socketio.ErrTimeout))
			}))
		}
		for _, name := range []string{"a", "b", "c", "d"} {
			ask(name)
		}
		began := time.Now()
		want(t, <-results, "a true") // the oldest gave way
		if d := time.Since(began); d != 0 {
			t.Errorf("the oldest was given up after %v", d)
		}
		c.Expect("b").Ack()
		want(t, <-results, "b false")
		time.Sleep(11 * time.Second) // AckTimeout
		left := []string{<-results, <-results}
		if fmt.Sprint(left) != "[c true d true]" && fmt.Sprint(left) != "[d true c true]" {
			t.Errorf("results %v", left)
		}
		if n := socketio.PendingAcks(s); n != 0 {
			t.Errorf("%d acknowledgements are still waited for", n)
		}
	})
}

func TestLimitTimedOutAckIsForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		c := srv.Connect("/", nil)
		s := srv.Socket(c.ID)
		if _, err := s.EmitWithAck(bg, "q"); !errors.Is(err, socketio.ErrTimeout) { // Limits.AckTimeout
			t.Errorf("got %v", err)
		}
		if n := socketio.PendingAcks(s); n != 0 {
			t.Errorf("%d acknowledgements are still waited for", n)
		}
	})
}

// No client answers broadcasts with acks, for hours: nothing is kept.
func TestLimitUnansweredBroadcastAcksAreFreed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		var clients []*sockettest.Client
		for range 5 {
			clients = append(clients, srv.Connect("/", nil))
		}
		for range 20 {
			if _, err := srv.Timeout(time.Second).EmitWithAck(bg, "q"); !errors.Is(err, socketio.ErrTimeout) {
				t.Fatal(err)
			}
			for _, c := range clients {
				if n := socketio.PendingAcks(srv.Socket(c.ID)); n != 0 {
					t.Fatalf("%d acknowledgements are still waited for", n)
				}
			}
		}
	})
}

func TestLimitMailboxPushesBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		release := make(chan struct{})
		var handled, next int
		srv.OnEvent("n", func(e *socketio.Event) {
			<-release
			var n int
			noError(t, e.Bind(&n))
			if n != next {
				t.Errorf("%d instead of %d", n, next)
			}
			next++
			handled++
		})
		c := srv.Connect("/", nil)
		const n = 500
		sent := make(chan int, n)
		go func() {
			defer close(sent)
			for i := range n {
				if c.Conn.Send(engineio.Message{Data: fmt.Appendf(nil, `2["n",%d]`, i)}) != nil {
					return
				}
				sent <- i
			}
		}()
		synctest.Wait() // the client can send no more
		if got := len(sent); got < 64 || got > 80 {
			t.Errorf("%d events were taken while a handler blocks", got)
		}
		close(release)
		synctest.Wait()
		if handled != n {
			t.Errorf("%d of %d handled", handled, n)
		}
	})
}

// A handler that waits for the client's answer gets it, though more events than
// the mailbox holds came before it.
func TestLimitMailboxLetsAnswersThrough(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		srv.OnConnection(func(s *socketio.Socket) {
			s.On("start", func(e *socketio.Event) {
				answer, err := s.EmitWithAck(bg, "question")
				noError(t, err)
				noError(t, e.Ack(answer))
			})
		})
		c := srv.Connect("/", nil)
		done := make(chan string, 1)
		go func() { done <- c.Call("start").String() }()
		synctest.Wait()
		for range 200 {
			c.Emit("noise")
		}
		m := c.Conn
		_ = m
		noError(t, c.Conn.Send(engineio.Message{Data: []byte(`30["yes"]`)}))
		want(t, <-done, `["yes"]`)
	})
}

func TestLimitSlowClientIsCut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		reasons := make(chan socketio.Reason, 1)
		srv.OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { reasons <- r })
		c, err := srv.TryConnect("/", nil, &sockettest.DialOptions{Transport: "polling"})
		noError(t, err)
		s := srv.Socket(c.ID)
		synctest.Wait()
		c.Close() // its GET goes away: nothing is read any more
		big := strings.Repeat("x", 100_000)
		for range 30 {
			_ = s.Emit("big", big)
		}
		if r := <-reasons; r != socketio.ReasonTransportError {
			t.Errorf("reason %s", r)
		}
	})
}

// Joining and leaving faster than the handlers follow does not pile them up.
func TestLimitSocketsThatComeAndGo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		entered, release := 0, make(chan struct{})
		srv.Of("/slow").Use(func(c ctx, s *socketio.Socket) error { entered++; <-release; return nil })
		c := dial(t, srv, nil)
		for range 200 {
			if c.Send(engineio.Message{Data: []byte("0/slow")}) != nil {
				break
			}
			synctest.Wait()
		}
		c.Closed()
		if entered > 64 {
			t.Errorf("%d middlewares ran at a time", entered)
		}
		close(release)
	})
}
