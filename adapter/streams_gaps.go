package adapter

import "github.com/redis/go-redis/v9"

// checkBatch looks for entries that were trimmed between what was delivered and a batch.
func (r *streamReader) checkBatch(commands *redis.Client, at *streamPosition, entries []redis.XMessage) error {
	info, err := streamInfo(r.ctx, commands, r.streamKey)
	if err != nil {
		return err
	}
	if info.entriesAdded == 0 || at.uncounted || info.firstEntry.compare(at.entryID) <= 0 {
		return nil // Redis does not count, or nothing behind our position has gone
	}
	// Whatever was removed is what we had, and those of the batch that went since.
	expected := at.entriesAdded
	for _, e := range entries {
		if id, ok := parseEntryID(e.ID); ok && id.compare(info.firstEntry) < 0 {
			expected++
		}
	}
	switch lost := info.entriesAdded - info.length - expected; {
	case info.entriesAdded < at.entriesAdded+int64(len(entries)):
		r.tellGap("the stream began anew")
		at.entriesAdded, at.uncounted = at.entriesAdded+lost, true
	case lost > 0:
		r.tellGap("entries were trimmed before they were read")
		at.entriesAdded += lost
	}
	return nil
}

// checkForGap looks for entries that went before they were read, and for a stream that
// began anew. idle says that we believe to have read everything. It asks where the
// commands of this process go: the reader may be stuck at a server that they have
// left (after a failover).
func (r *streamReader) checkForGap(commands *redis.Client, at *streamPosition, idle bool) error {
	info, err := streamInfo(r.ctx, commands, r.streamKey)
	if err != nil {
		return err
	}
	behind := at.behind
	at.behind = entryID{}
	removed := info.entriesAdded - info.length
	counted := info.entriesAdded > 0
	// Nothing up to our position is left, so at least as many entries went as were
	// added up to there, or the stream is another one. Before version 7 Redis does not
	// count, and a position that fell off the end may mean a gap as well.
	overtaken := info.firstEntry.compare(at.entryID) > 0 && at.entryID != (entryID{})
	switch {
	case info.lastEntry.compare(at.entryID) < 0:
		// Deleted, flushed, or behind after a failover: its ids may start again
		// below ours, which we would never see.
		r.tellGap("the stream began anew")
		*at = streamPosition{entriesAdded: info.entriesAdded - info.length}
		if info.length == 0 {
			at.entryID = info.lastEntry
		}
		r.deliveryMu.Lock()
		r.moveTo(at.entryID)
		r.deliveryMu.Unlock()
	case counted && info.entriesAdded < at.entriesAdded, overtaken && (info.entriesAdded == 0 || counted && removed < at.entriesAdded):
		// Its ids go on above ours: what it holds is read from where we are.
		r.tellGap("the stream began anew")
		at.entriesAdded, at.uncounted = removed, !overtaken
	case counted && removed > at.entriesAdded:
		r.tellGap("entries were trimmed before they were read")
		at.entriesAdded, at.uncounted = removed, !overtaken
	case idle && info.lastEntry == at.entryID:
		if counted && !at.uncounted && info.entriesAdded != at.entriesAdded {
			r.tellGap("entries went before they were read")
		}
		at.entriesAdded, at.uncounted = info.entriesAdded, false
	case idle && behind.compare(at.entryID) > 0:
		return errSilent // it was there at the last look, and we did not get it
	case idle:
		at.behind = info.lastEntry
	}
	return nil
}

func (r *streamReader) tellGap(why string) {
	r.log.Warn("events were lost", "reason", why)
	r.mu.Lock()
	var listeners []streamListener
	for _, list := range r.listeners {
		listeners = append(listeners, list...)
	}
	r.mu.Unlock()
	for _, l := range listeners {
		l.streamGap()
	}
}
