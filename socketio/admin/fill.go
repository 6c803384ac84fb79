package admin

import (
	"context"
	"sync"
	"time"

	"posthouse/socketio"
)

// fillPatience bounds the wait for the sockets of other nodes; what has come by then is
// shown, since an error would leave the page empty.
const fillPatience = 3 * time.Second

// parallelFetches is how many namespaces are fetched at once for one page.
const parallelFetches = 8

// recording keeps the notices of this node that are sent while a page is being filled:
// the page forgets them when its list comes, and the list may be older than they are.
type recording struct {
	notices []*notice
}

// fillPage sends all sockets to a new administrator.
func (a *Admin) fillPage(s *socketio.Socket) {
	r := &recording{}
	a.inOrder(func() { a.notices.recordings = append(a.notices.recordings, r) })
	a.mu.Lock()
	first := len(a.lookers) == 1
	a.mu.Unlock()
	if first {
		_ = a.namespace.ServerSideEmit(watchEvent) // nodes that miss it ask within watchInterval
	}
	sockets, others := a.fetchAll()
	a.awaitRoomEvents()
	a.inOrder(func() {
		a.notices.endRecording(r)
		if a.isCrowded(others) {
			a.stopLooking(s)
			_ = s.Emit("config", config{a.features(false)})
			return
		}
		_ = s.Emit("config", config{a.features(true)}) // a socket that has gone needs neither
		_ = s.Emit("all_sockets", sockets)
		for _, m := range a.missedBy(sockets, r.notices) {
			_ = s.Emit(m.event, m.args...)
		}
	})
}

// inOrder runs a function between two notices.
func (a *Admin) inOrder(task func()) {
	a.notices.queue(notice{kind: taskNotice, task: task})
}

func (q *noticeQueue) endRecording(r *recording) {
	for i, other := range q.recordings {
		if other == r {
			q.recordings = append(q.recordings[:i:i], q.recordings[i+1:]...)
			return
		}
	}
}

// fetchAll asks all nodes for the sockets of all namespaces, and counts those of others
// than administrators.
func (a *Admin) fetchAll() (all []adminSocket, others int) {
	ctx, cancel := context.WithTimeout(a.ctx, fillPatience)
	defer cancel()
	var mu sync.Mutex // guards all and others
	var group sync.WaitGroup
	places := make(chan struct{}, parallelFetches)
	all = []adminSocket{}
	for _, n := range a.io.Namespaces() {
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			details, err := n.Adapter().FetchSockets(ctx, socketio.BroadcastOptions{})
			if err != nil {
				a.log.Debug("socketio/admin: not all nodes told their sockets", "namespace", n.Name(), "error", err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, d := range details {
				all = append(all, a.serialize(n.Name(), d))
			}
			if n != a.namespace {
				others += len(details)
			}
		})
	}
	group.Wait()
	return all, others
}

// awaitRoomEvents waits until the notices of what the fetched list holds are queued.
func (a *Admin) awaitRoomEvents() {
	var group sync.WaitGroup
	for _, n := range a.io.Namespaces() {
		group.Add(1)
		n.LocalAdapter().AfterRoomEvents(group.Done)
	}
	group.Wait()
}

// missedBy is what happened on this node after the list was made: the page must be told
// each room of a socket exactly once, by the list or by a message.
func (a *Admin) missedBy(list []adminSocket, notices []*notice) (missed []message) {
	type key struct{ namespace, id string }
	rooms := make(map[key]map[string]bool, len(list))
	add := func(k key, names []string) {
		rooms[k] = make(map[string]bool, len(names))
		for _, name := range names {
			rooms[k][name] = true
		}
	}
	for i := range list {
		add(key{list[i].Namespace, list[i].ID}, list[i].Rooms)
	}
	for _, n := range notices {
		k := key{n.namespace.Name(), n.id}
		known := rooms[k]
		switch {
		case n.kind == connectedNotice && known == nil:
			add(k, n.rooms)
		case n.kind == disconnectedNotice && known != nil:
			delete(rooms, k)
		case n.kind == joinedNotice && known != nil && !known[n.room]:
			known[n.room] = true
		case n.kind == leftNotice && known[n.room]:
			delete(known, n.room)
		case (n.kind == upgradedNotice || n.kind == dataNotice) && known != nil:
		default:
			continue
		}
		missed = append(missed, a.message(n))
	}
	return missed
}
