// Package sockettest is what httptest is for net/http: a Socket.IO server and
// clients in memory, so that handlers are tested without ports and without
// waiting for the clock. Packets go through the real engine and parser, over
// net.Pipe; the package works inside a testing/synctest bubble.
//
//	srv := sockettest.NewServer(t, nil)
//	srv.OnConnection(func(s *socketio.Socket) {
//		s.On("add", func(e *socketio.Event) {
//			var a, b int
//			if e.Bind(&a, &b) == nil {
//				e.Ack(a + b)
//			}
//		})
//	})
//	c := srv.Connect("/", nil)
//	sum := c.Call("add", 1, 2).JSON(0) // 3
//
// A Server owns its HTTP server; a Conn owns one goroutine that reads. All of
// them end with the test.
package sockettest
