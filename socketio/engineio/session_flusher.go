package engineio

import "sync"

// flusher writes what SendSoon queued. Its goroutine exists while there is
// something to write; the server counts it.
type flusher struct {
	srv           *Server
	mu            sync.Mutex // guards what follows; taken alone
	dirtySessions []*Session
	spareList     []*Session // the list before, for its memory
	isRunning     bool
}

// SendSoon is Send for broadcasts: the frames are queued here and written in a
// moment, by one goroutine for all sessions. It makes a single message a little
// later (by the switch to that goroutine), and a burst much cheaper: what a
// session gets meanwhile leaves in one write. The order among Send, SendSoon and
// SendMessages is that of the calls.
func (s *Session) SendSoon(frames ...*Frame) error {
	size := 0
	for _, f := range frames {
		size += len(f.message.Data)
	}
	s.mu.Lock()
	if err := s.soonLocked(len(frames), size); err != nil {
		s.mu.Unlock()
		return err
	}
	if s.ws != nil {
		s.ws.addFrames(frames)
	} else {
		s.poll.addFrames(frames)
	}
	s.unlockSoon()
	return nil
}

// SendMessagesSoon is SendMessages with the delay of SendSoon: for an answer that
// others are about to follow.
func (s *Session) SendMessagesSoon(ms ...Message) error {
	s.mu.Lock()
	if err := s.soonLocked(len(ms), sizeOf(ms)); err != nil {
		s.mu.Unlock()
		return err
	}
	if s.ws != nil {
		s.ws.addMessages(ms)
	} else {
		s.poll.addMessages(ms)
	}
	s.unlockSoon()
	return nil
}

func (s *Session) soonLocked(packets, size int) error {
	if s.state.Load() != stateOpen {
		return s.closedErr()
	}
	if err := s.checkSendBufferLocked(size); err != nil {
		return err
	}
	s.countOutLocked(packets, size)
	return nil
}

// unlockSoon unlocks mu and leaves the writing to the flusher.
func (s *Session) unlockSoon() {
	s.updateBacklogLocked()
	first := !s.inFlusher
	s.inFlusher = true
	s.mu.Unlock()
	if first {
		s.srv.flushSoon(s)
	}
}

func (srv *Server) flushSoon(s *Session) {
	f := &srv.flusher
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dirtySessions = append(f.dirtySessions, s)
	if f.isRunning {
		return
	}
	f.isRunning = true
	srv.track()
	srv.workers.Go(f)
}

// Run implements workers.Task.
func (f *flusher) Run() {
	defer f.srv.done()
	for {
		f.mu.Lock()
		list := f.dirtySessions
		if len(list) == 0 {
			f.isRunning = false
			f.mu.Unlock()
			return
		}
		f.dirtySessions, f.spareList = f.spareList[:0], nil
		f.mu.Unlock()
		for i, s := range list {
			s.flushDirty()
			list[i] = nil
		}
		f.mu.Lock()
		f.spareList = list
		f.mu.Unlock()
	}
}

func (s *Session) flushDirty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlusher = false
	switch {
	case s.state.Load() == stateClosed:
	case s.ws != nil:
		s.ws.writeWaiting()
	default:
		s.poll.flush()
	}
}
