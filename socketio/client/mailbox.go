package client

// mailbox is the queue of what a socket's handlers are to do, in order. A goroutine drains
// it while it holds something. It is guarded by Manager.mu.
type mailbox struct {
	tasks    []mailTask
	next     int // index of the first task in tasks
	bytes    int
	draining bool
	space    chan struct{} // closed when the reader may go on; nil while it does
}

// mailTask is an event, or a function to be called.
type mailTask struct {
	event *Event
	call  func()
}

// enqueueLocked adds a task.
func (s *Socket) enqueueLocked(t mailTask) {
	b := &s.mailbox
	if b.next > 32 && b.next > len(b.tasks)/2 {
		n := copy(b.tasks, b.tasks[b.next:])
		clear(b.tasks[n:])
		b.tasks, b.next = b.tasks[:n], 0
	}
	b.tasks = append(b.tasks, t)
	b.bytes += t.event.size()
	if !b.draining {
		b.draining = true
		s.manager.spawn((*mailDrain)(s))
	}
}

// callLocked has functions called in their turn.
func (s *Socket) callLocked(fn func()) { s.enqueueLocked(mailTask{call: fn}) }

// full returns a channel to wait for when the mailbox holds too much, else nil.
func (s *Socket) fullLocked() <-chan struct{} {
	b := &s.mailbox
	if b.bytes <= s.manager.opts.MaxQueued {
		return nil
	}
	if b.space == nil {
		b.space = make(chan struct{})
	}
	return b.space
}

// mailDrain is a socket as a task: to empty its mailbox.
type mailDrain Socket

// Run implements workers.Task.
func (d *mailDrain) Run() {
	s := (*Socket)(d)
	m := s.manager
	defer m.running.Done()
	for {
		m.mu.Lock()
		b := &s.mailbox
		if b.next == len(b.tasks) {
			b.draining = false
			b.tasks, b.next = nil, 0
			m.mu.Unlock()
			return
		}
		t := b.tasks[b.next]
		b.tasks[b.next] = mailTask{}
		if b.next++; b.next == len(b.tasks) && cap(b.tasks) <= 64 {
			b.tasks, b.next = b.tasks[:0], 0
		}
		b.bytes -= t.event.size()
		if b.space != nil && b.bytes <= m.opts.MaxQueued/2 {
			close(b.space)
			b.space = nil
		}
		l := s.listeners
		m.mu.Unlock()
		if t.event == nil {
			t.call()
			continue
		}
		t.event.dispatch(&l)
	}
}
