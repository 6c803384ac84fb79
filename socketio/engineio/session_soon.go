package engineio

import "sync"

// SendSoon is Send for broadcasts: the frames are queued here and written in a
// moment, by goroutines that serve all sessions. It makes a single message a little
// later (by the switch to that goroutine), and a burst much cheaper: what a
// session gets meanwhile leaves in one write. The order among Send, SendSoon,
// SendMessages and Burst.Send is that of the calls.
func (s *Session) SendSoon(frames ...*Frame) error {
	first, err := s.queueSoon(frames)
	if first {
		s.srv.flusher.add(s)
	}
	return err
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
	if s.unlockSoon() {
		s.srv.flusher.add(s)
	}
	return nil
}

// queueSoon queues frames. first says that the caller has to tell the flusher.
func (s *Session) queueSoon(frames []*Frame) (first bool, err error) {
	size := 0
	for _, f := range frames {
		size += len(f.message.Data)
	}
	s.mu.Lock()
	if err := s.soonLocked(len(frames), size); err != nil {
		s.mu.Unlock()
		return false, err
	}
	if s.ws != nil {
		s.ws.addFrames(frames)
	} else {
		s.poll.addFrames(frames)
	}
	return s.unlockSoon(), nil
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

// unlockSoon unlocks mu and reports whether the flusher does not know of s yet.
func (s *Session) unlockSoon() (first bool) {
	s.updateBacklogLocked()
	first = !s.inFlusher
	s.inFlusher = true
	s.mu.Unlock()
	return first
}

// Burst sends to many sessions: a message to a room, or several of them. What it sends is
// written when it ends, on all cores, and what follows at once leaves with it: bursts that
// begin before the writing has begun hold it up, for 5 ms at most. A Burst is used by one
// goroutine and only until End.
type Burst struct {
	srv      *Server
	sessions []*Session // dirty, and not in the flusher's list yet
}

// burstSessions is how many sessions a burst keeps back: the flusher's lock is taken once
// for as many.
const burstSessions = 512

var burstPool = sync.Pool{New: func() any { return &Burst{sessions: make([]*Session, 0, burstSessions)} }}

// NewBurst begins a burst. End must be called soon.
func (srv *Server) NewBurst() *Burst {
	b := burstPool.Get().(*Burst)
	b.srv = srv
	srv.flusher.bursts.Add(1)
	return b
}

// Send is Session.SendSoon. All sessions of a burst are of the same server.
func (b *Burst) Send(s *Session, frames ...*Frame) error {
	first, err := s.queueSoon(frames)
	if first {
		b.sessions = append(b.sessions, s)
		if len(b.sessions) == burstSessions {
			b.pass()
		}
	}
	return err
}

// pass gives the sessions to the flusher.
func (b *Burst) pass() {
	b.srv.flusher.add(b.sessions...)
	clear(b.sessions)
	b.sessions = b.sessions[:0]
}

// End ends the burst.
func (b *Burst) End() {
	f := b.srv.flusher
	f.bursts.Add(-1)
	if len(b.sessions) > 0 {
		b.pass()
	} else {
		f.start() // for what was held up
	}
	b.srv = nil
	burstPool.Put(b)
}
