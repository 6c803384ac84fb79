package adapter

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/socketio"
)

// markKind tells what a mark in the log is about (docs/protocol.md §4.6). For the kinds
// that stand for a broadcast, the mark comes after it and has its rooms.
type markKind uint8

const (
	// markHeard stands for broadcasts of publishers that write no log.
	markHeard markKind = iota
	// markLost stands for broadcasts that the sender delivered to its own sockets, and that
	// the log may lack.
	markLost
	// markBegin says that from here on the writer hears what publishers without the log send.
	markBegin
)

var markNames = [...]string{markHeard: "heard", markLost: "lost", markBegin: "begin"}

const (
	// marksDelay is how long a mark waits for others to go with it. A late mark is never
	// wrong: it only ends the recovery of more clients.
	marksDelay = 100 * time.Millisecond
	// maxMarks bounds the marks of one kind that wait; with more, one stands for all rooms.
	maxMarks = 64
)

// logMarks writes marks into the log.
type logMarks struct {
	log        *recoveryLog
	wakeSignal chan struct{} // capacity 1
	writing    sync.Mutex    // held while marks are written: flush returns when all are

	mu      sync.Mutex // guards what follows
	waiting map[markKind][]socketio.BroadcastOptions
}

func newLogMarks(log *recoveryLog) *logMarks {
	return &logMarks{log: log, wakeSignal: make(chan struct{}, 1), waiting: make(map[markKind][]socketio.BroadcastOptions)}
}

// add queues the mark of a broadcast. It does not wait.
func (k *logMarks) add(kind markKind, o *socketio.BroadcastOptions) {
	selection := socketio.BroadcastOptions{Rooms: o.Rooms, Except: o.Except}
	k.mu.Lock()
	list := k.waiting[kind]
	switch {
	case len(list) == 1 && len(list[0].Rooms) == 0 && len(list[0].Except) == 0:
		// all rooms already
	case slices.ContainsFunc(list, func(o socketio.BroadcastOptions) bool {
		return slices.Equal(o.Rooms, selection.Rooms) && slices.Equal(o.Except, selection.Except)
	}):
		// the mark that waits stands for this broadcast, too
	case len(list) >= maxMarks || len(o.Rooms) == 0 && len(o.Except) == 0:
		k.waiting[kind] = []socketio.BroadcastOptions{{}}
	default:
		k.waiting[kind] = append(list, selection)
	}
	k.mu.Unlock()
	select {
	case k.wakeSignal <- struct{}{}:
	default:
	}
}

// run writes marks until ctx ends.
func (k *logMarks) run(ctx context.Context) {
	delay := time.NewTimer(marksDelay)
	delay.Stop()
	defer delay.Stop()
	var retry backoff
	isDue := false // delay runs: later marks go with the first, and do not put it off
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wakeSignal:
			if !isDue {
				isDue = true
				delay.Reset(marksDelay)
			}
			continue
		case <-delay.C:
			isDue = false
		}
		if err := k.flush(ctx); err == nil {
			retry.reset()
		} else if !retry.wait(ctx) {
			return
		} else {
			isDue = true
			delay.Reset(0)
		}
	}
}

// flush returns nil when every mark that was added before is in the log.
func (k *logMarks) flush(ctx context.Context) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	k.mu.Lock()
	waiting := k.waiting
	k.waiting = make(map[markKind][]socketio.BroadcastOptions)
	k.mu.Unlock()
	var messages []*clusterMessage
	for kind, list := range waiting {
		for _, o := range list {
			messages = append(messages, k.message(kind, o))
		}
	}
	if len(messages) == 0 {
		return nil
	}
	_, err := k.write(ctx, messages)
	if err != nil {
		for kind, list := range waiting {
			for _, o := range list {
				k.add(kind, &o)
			}
		}
	}
	return err
}

func (k *logMarks) message(kind markKind, o socketio.BroadcastOptions) *clusterMessage {
	m := k.log.newMessage(clusterMark)
	m.mark, m.options = kind, o
	return m
}

// write adds marks to the log and returns the id of the last one.
func (k *logMarks) write(ctx context.Context, messages []*clusterMessage) (last entryID, err error) {
	ctx, cancel := context.WithTimeout(ctx, k.log.requestTimeout)
	defer cancel()
	node, err := k.log.redisNodes.ownerOf(ctx, k.log.streamKey)
	if err != nil {
		return last, err
	}
	pipe := node.Pipeline()
	var cmd *redis.Cmd
	for _, m := range messages {
		args, err := m.entryArgs(k.log.streamKey, k.log.maxLen)
		if err != nil {
			return last, err
		}
		cmd = pipe.Do(ctx, args...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return last, err
	}
	text, err := cmd.Text()
	if err != nil {
		return last, err
	}
	last, ok := parseEntryID(text)
	if !ok {
		return last, errMalformed
	}
	return last, nil
}

// readMark takes a mark of the log.
func (a *recoveryLog) readMark(m *clusterMessage) {
	if a.keepFor <= 0 {
		return
	}
	if m.senderUID == a.uid {
		if m.mark == markLost {
			a.ownLostMarkRead(m.clientCount)
		}
		return
	}
	if m.mark == markLost {
		a.taint(m.options)
	}
	if a.hearing != nil {
		a.hearing.markRead()
	}
}
