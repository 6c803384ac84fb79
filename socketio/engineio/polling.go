package engineio

import "time"

// polling is the HTTP long-polling transport of one session. Everything in it is
// guarded by Session.mu.
type polling struct {
	s      *Session
	queue  *queue // nil: nothing waits
	get    *poll  // the GET that waits for something to send; nil: none
	post   *post  // the POST under way; nil: none
	flight int    // bytes of the answers that are being written
	corked bool   // a POST is being delivered: its answers leave together
	b64    bool   // of the first request: no binary payloads (docs/protocol.md §2.1)
	jsonp  bool   // the first request had j
	index  string // its digits

	arrived *arrival // the last request that may not have begun; nil: none
}

// poll is one waiting GET. ready gets one token when batch is set.
type poll struct {
	ready chan struct{}
	batch *queue
	last  bool // the connection ends with the answer
}

func newPoll() any { return &poll{ready: make(chan struct{}, 1)} }

func (p *polling) open() *queue {
	if p.queue == nil {
		p.queue = takeQueue()
	}
	return p.queue
}

func (p *polling) addFrames(frames []*Frame) {
	q := p.open()
	for _, f := range frames {
		q.addFrame(f)
	}
}

func (p *polling) addMessages(ms []Message) {
	q := p.open()
	for i := range ms {
		q.add(packetMessage, ms[i].Binary, ms[i].Data)
	}
}

func (p *polling) waiting() int { return p.queue.waiting() + p.flight }

func (p *polling) after(fn func()) bool {
	if p.queue.empty() {
		return false
	}
	p.queue.after = append(p.queue.after, fn)
	return true
}

// flush hands everything that waits to the waiting GET. It is decided here, not
// when the GET's goroutine runs, what an answer contains: as in Node.
func (p *polling) flush() {
	if p.get == nil || p.queue.empty() || p.corked && p.queue.waiting() < corkLimit {
		return
	}
	g := p.get
	p.get = nil
	g.batch, p.queue = p.queue, nil
	p.flight += g.batch.waiting()
	p.taken()
	g.ready <- struct{}{}
}

// taken notes that the peer fetches what waits.
func (p *polling) taken() {
	if b := p.s.backlog; b != nil {
		b.taken = time.Since(epoch)
	}
}

// answered is called when an answer that flush began has been written.
func (p *polling) answered(batch *queue) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	p.flight -= batch.waiting()
	if s.backlog != nil {
		p.taken()
		s.updateBacklogLocked()
	}
}

// answer answers the waiting GET, if any, with a packet and nothing else.
func (p *polling) answer(t packetType) {
	g := p.get
	if g == nil {
		return
	}
	p.get = nil
	g.batch = takeQueue()
	g.batch.add(t, false, nil)
	p.flight += g.batch.waiting()
	g.ready <- struct{}{}
}

func (p *polling) uncork() {
	p.corked = false
	p.flush()
}

// beginClose says goodbye in the waiting GET, or leaves that to the next one.
func (p *polling) beginClose() {
	if p.get != nil && p.queue.empty() {
		p.answer(packetClose)
		p.s.endLocked(ReasonForcedClose, nil)
		return
	}
	p.s.closer = startCloser(p.s)
}

// attach makes g the waiting GET; there is none.
func (p *polling) attach(g *poll) {
	p.get = g
	if p.s.state.Load() == stateClosing && p.queue.empty() {
		q := p.open()
		q.add(packetNoop, false, nil)
		q.add(packetClose, false, nil)
		p.flush()
		p.s.endLocked(ReasonForcedClose, nil)
		return
	}
	p.flush()
	if p.s.up != nil {
		p.s.up.pollWaitsLocked()
	}
}

// shut ends the transport: the waiting GET is let go with a close packet (with a
// noop when the peer asked for the close itself), a POST that is being read is
// cut off.
func (p *polling) shut(reason Reason) {
	if p.get != nil && reason == ReasonPingTimeout {
		p.get.last = true // the peer is gone: its connection would stay idle
	}
	p.uncork() // what the handler sent before is on its way
	if reason == ReasonTransportClose {
		p.answer(packetNoop)
	} else {
		p.answer(packetClose)
	}
	if p.post != nil {
		p.post.abort()
	}
	p.queue.release()
	p.queue = nil
}
