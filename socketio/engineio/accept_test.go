package engineio_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/engineio"
)

// poorListener has no descriptors as long as it is poor.
type poorListener struct {
	*pipeListener
	poor  atomic.Bool
	tries atomic.Int32
	errno syscall.Errno
}

func (l *poorListener) Accept() (net.Conn, error) {
	if l.poor.Load() {
		l.tries.Add(1)
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", l.errno)}
	}
	return l.pipeListener.Accept()
}

// A shortage of descriptors costs a new connection 100 ms at most once it is over,
// and is logged once (docs/reliability.md §3 row F24).
func TestServe_DescriptorsRunOut_BacksOffShortly(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE} {
		synctest.Test(t, func(t *testing.T) {
			var text bytes.Buffer
			srv := engineio.NewServer(&engineio.Options{Logger: slog.New(slog.NewTextHandler(&text, nil))})
			hs := &http.Server{Handler: srv}
			lis := &poorListener{pipeListener: newPipeListener(), errno: errno}
			lis.poor.Store(true)
			served := make(chan error, 1)
			go func() { served <- srv.Serve(lis, hs) }()
			time.Sleep(10 * time.Second) // of the bubble
			if n := lis.tries.Load(); n < 100 || n > 120 {
				t.Errorf("%d tries in 10 s", n)
			}
			lis.poor.Store(false)
			begin := time.Now()
			conn := lis.dial()
			newLine(t, conn).open()
			if d := time.Since(begin); d > 100*time.Millisecond {
				t.Errorf("the first connection waits %v", d)
			}
			if strings.Count(text.String(), "ulimit -n") != 1 {
				t.Errorf("the log has %q", text.String())
			}
			lis.poor.Store(true)
			srv.Shutdown(context.Background())
			hs.Close() // ends a wait, too
			<-served
			conn.Close()
		})
	}
}
