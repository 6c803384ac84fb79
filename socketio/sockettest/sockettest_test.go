package sockettest_test

import (
	"testing"

	"go.uber.org/goleak"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServerAndClientTalkInMemory(t *testing.T) {
	for _, transport := range []string{"websocket", "polling"} {
		t.Run(transport, func(t *testing.T) {
			srv := sockettest.NewServer(t, nil)
			srv.OnConnection(func(s *socketio.Socket) {
				s.On("add", func(e *socketio.Event) {
					var a, b int
					if err := e.Bind(&a, &b); err != nil {
						t.Error(err)
					}
					if err := e.Ack(a + b); err != nil {
						t.Error(err)
					}
				})
				if err := s.Emit("welcome", []byte{1, 2}); err != nil {
					t.Error(err)
				}
			})
			c, err := srv.TryConnect("/", nil, &sockettest.DialOptions{Transport: transport})
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Call("add", 1, 2).String(); got != "[3]" {
				t.Errorf("sum is %s", got)
			}
			m := c.Expect("welcome")
			if len(m.Args.Attachments) != 1 || string(m.Args.Attachments[0]) != "\x01\x02" {
				t.Errorf("binary is %v", m.Args)
			}
			c.Quiet()
		})
	}
}
