package engineio

import "time"

// polling is the HTTP long-polling transport of one session. Everything in it is
// guarded by Session.mu.
type polling struct {
	s             *Session
	sendQueue     *queue // nil: nothing waits
	waitingGET    *poll  // the GET that waits for something to send; nil: none
	activePOST    *post  // the POST under way; nil: none
	inFlightBytes int    // bytes of the answers that are being written
	corked        bool   // a POST is being delivered: its answers leave together
	wantsBase64   bool   // of the first request: no binary payloads (docs/protocol.md §2.1)
	jsonp         bool   // the first request had j
	jsonpIndex    string // its digits

	lastArrival *arrival // the last request that may not have begun; nil: none
}

// poll is one waiting GET. batchReady gets one token when answerQueue is set.
type poll struct {
	batchReady     chan struct{}
	answerQueue    *queue
	endsConnection bool // the connection ends with the answer
}

func newPoll() any { return &poll{batchReady: make(chan struct{}, 1)} }

func (p *polling) open() *queue {
	if p.sendQueue == nil {
		p.sendQueue = takeQueue()
	}
	return p.sendQueue
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

func (p *polling) waiting() int { return p.sendQueue.waiting() + p.inFlightBytes }

func (p *polling) after(fn func()) bool {
	if p.sendQueue.empty() {
		return false
	}
	p.sendQueue.afterFlush = append(p.sendQueue.afterFlush, fn)
	return true
}

// flush hands everything that waits to the waiting GET. It is decided here, not
// when the GET's goroutine runs, what an answer contains: as in Node.
func (p *polling) flush() {
	if p.waitingGET == nil || p.sendQueue.empty() || p.corked && p.sendQueue.waiting() < corkLimit {
		return
	}
	g := p.waitingGET
	p.waitingGET = nil
	g.answerQueue, p.sendQueue = p.sendQueue, nil
	p.inFlightBytes += g.answerQueue.waiting()
	p.taken()
	g.batchReady <- struct{}{}
}

// taken notes that the peer fetches what waits.
func (p *polling) taken() {
	if b := p.s.backlog; b != nil {
		b.lastTaken = time.Since(epoch)
	}
}

// answered is called when an answer that flush began has been written.
func (p *polling) answered(batch *queue) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	p.inFlightBytes -= batch.waiting()
	if s.backlog != nil || s.flushFrom != 0 && s.poll == p {
		p.taken()
		s.updateBacklogLocked()
	}
}

// answer answers the waiting GET, if any, with a packet and nothing else.
func (p *polling) answer(t packetType) {
	g := p.waitingGET
	if g == nil {
		return
	}
	p.waitingGET = nil
	g.answerQueue = takeQueue()
	g.answerQueue.add(t, false, nil)
	p.inFlightBytes += g.answerQueue.waiting()
	g.batchReady <- struct{}{}
}

func (p *polling) uncork() {
	p.corked = false
	p.flush()
}

// beginClose says goodbye in the waiting GET, or leaves that to the next one.
func (p *polling) beginClose() {
	if p.waitingGET != nil && p.sendQueue.empty() {
		p.answer(packetClose)
		p.s.endLocked(ReasonForcedClose, nil)
		return
	}
	p.s.closeTimer = startCloser(p.s)
}

// attach makes g the waiting GET; there is none.
func (p *polling) attach(g *poll) {
	p.waitingGET = g
	if p.s.state.Load() == stateClosing && p.sendQueue.empty() {
		q := p.open()
		q.add(packetNoop, false, nil)
		q.add(packetClose, false, nil)
		p.flush()
		p.s.endLocked(ReasonForcedClose, nil)
		return
	}
	p.flush()
	if p.s.pendingUpgrade != nil {
		p.s.pendingUpgrade.pollWaitsLocked()
	}
}

// shut ends the transport: the waiting GET is let go with a close packet (with a
// noop when the peer asked for the close itself), a POST that is being read is
// cut off.
func (p *polling) shut(reason Reason) {
	if p.waitingGET != nil && reason == ReasonPingTimeout {
		p.waitingGET.endsConnection = true // the peer is gone: its connection would stay idle
	}
	p.uncork() // what the handler sent before is on its way
	if reason == ReasonTransportClose {
		p.answer(packetNoop)
	} else {
		p.answer(packetClose)
	}
	if p.activePOST != nil {
		p.activePOST.abort()
	}
	p.sendQueue.release()
	p.sendQueue = nil
}
