//go:build linux && !goroutinereaders

package netpoll_test

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"posthouse/socketio/engineio/internal/netpoll"
)

// rig is a group whose loops a test can wait for.
type rig struct {
	netpoll.Group
	running sync.WaitGroup
}

func newRig() *rig {
	r := &rig{}
	r.Group = netpoll.NewGroup(func() { r.running.Add(1) }, r.running.Done)
	return r
}

// recorder is a handler that hands its calls to the test, and waits for the answer.
type recorder struct {
	fd    int // the loop's end of a pair of sockets
	peer  int
	calls chan string
	reply chan func() (again bool)
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	return &recorder{fd: fds[0], peer: fds[1], calls: make(chan string), reply: make(chan func() bool)}
}

func (h *recorder) Ready(e netpoll.Events) bool {
	call := "ready"
	if e.Has(netpoll.Readable) {
		call += " readable"
	}
	if e.Has(netpoll.PeerClosed) {
		call += " closed"
	}
	h.calls <- call
	return (<-h.reply)()
}

func (h *recorder) Woken() bool {
	h.calls <- "woken"
	return (<-h.reply)()
}

// next expects a call, and lets do answer it on the loop's goroutine.
func (h *recorder) next(t *testing.T, want string, do func() (again bool)) {
	t.Helper()
	if got := <-h.calls; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	h.reply <- do
}

// leave makes a call the last one of h.
func (h *recorder) leave(l *netpoll.Loop) func() bool {
	return func() bool {
		l.Detach(h.fd)
		netpoll.CloseFD(h.fd)
		return false
	}
}

func done() bool { return false }

func (h *recorder) read() bool {
	netpoll.ReadFD(h.fd, make([]byte, 100))
	return false
}

func add(t *testing.T, l *netpoll.Loop) *recorder {
	t.Helper()
	h := newRecorder(t)
	if err := l.Add(h.fd, h); err != nil {
		t.Fatal(err)
	}
	h.next(t, "ready", done) // it is writable
	return h
}

func TestLoop_Ready_TellsOfEveryEdge(t *testing.T) {
	r := newRig()
	l := r.Ordered()
	h := add(t, l)
	netpoll.WriteFD(h.peer, []byte("a"))
	h.next(t, "ready readable", done) // and leaves it unread
	netpoll.WriteFD(h.peer, []byte("b"))
	h.next(t, "ready readable", h.read)
	netpoll.CloseFD(h.peer)
	if got := <-h.calls; got != "ready readable closed" && got != "ready closed readable" {
		t.Errorf("%s", got)
	}
	h.reply <- h.leave(l)
	r.running.Wait() // the last descriptor ends the loop
	if n := l.Len(); n != 0 {
		t.Errorf("%d descriptors", n)
	}
}

func TestLoop_Again_CallsTheHandlerAfterTheOthers(t *testing.T) {
	r := newRig()
	l := r.Ordered()
	first, second := add(t, l), add(t, l)
	defer netpoll.CloseFD(first.peer)
	defer netpoll.CloseFD(second.peer)
	l.Wake(first)
	first.next(t, "woken", func() bool {
		l.Wake(second)
		return true
	})
	second.next(t, "woken", second.leave(l))
	first.next(t, "ready closed", first.leave(l))
	r.running.Wait()
}

func TestLoop_Wake_EndsTheWait(t *testing.T) {
	r := newRig()
	l := r.Ordered()
	a, b := add(t, l), add(t, l)
	defer netpoll.CloseFD(a.peer)
	defer netpoll.CloseFD(b.peer)
	for range 3 { // also when the loop waits again
		l.Wake(a)
		a.next(t, "woken", done)
	}
	l.WakeMatching(func(h netpoll.Handler) bool { return h == b })
	b.next(t, "woken", b.leave(l))
	l.Wake(a)
	a.next(t, "woken", a.leave(l))
	r.running.Wait()
	l.Wake(a) // reaches nothing: the loop has ended
}

func TestLoop_Replace_ChangesTheHandler(t *testing.T) {
	r := newRig()
	l := r.Ordered()
	old := add(t, l)
	successor := newRecorder(t)
	defer netpoll.CloseFD(successor.peer)
	netpoll.CloseFD(successor.fd)
	successor.fd = old.fd
	l.Replace(old.fd, successor)
	netpoll.WriteFD(old.peer, []byte("a"))
	successor.next(t, "ready readable", successor.leave(l))
	netpoll.CloseFD(old.peer)
	r.running.Wait()
}

// A loop that has ended begins again with the next descriptor.
func TestLoop_Add_BeginsTheLoopAgain(t *testing.T) {
	r := newRig()
	l := r.Ordered()
	for range 3 {
		h := add(t, l)
		netpoll.CloseFD(h.peer)
		<-h.calls
		h.reply <- h.leave(l)
		r.running.Wait()
	}
}

func TestGroup_Duplicate_IsADescriptorOfItsOwn(t *testing.T) {
	r := newRig()
	h := newRecorder(t)
	defer netpoll.CloseFD(h.peer)
	l, dup, err := r.Duplicate(h.fd)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Spreads(l) || dup == h.fd {
		t.Error("not a loop of the group, or not a duplicate")
	}
	netpoll.CloseFD(h.fd)
	h.fd = dup
	if err := l.Add(dup, h); err != nil {
		t.Fatal(err)
	}
	h.next(t, "ready", done)
	netpoll.WriteFD(h.peer, []byte("a"))
	h.next(t, "ready readable", h.leave(l))
	r.running.Wait()
	if _, _, err := (netpoll.Group{}).Duplicate(h.peer); err == nil {
		t.Error("an empty group has a loop")
	}
}
