package adapter

import (
	"slices"
	"sync/atomic"
	"time"
)

// Stats counts what happened to an adapter since it was made.
type Stats struct {
	Published      uint64 // messages Redis took
	PublishFailed  uint64 // messages lost because Redis did not take them
	PublishRefused uint64 // messages refused with ErrQueueFull
	Received       uint64 // messages from other nodes that were acted on
	Own            uint64 // messages of this node that came back
	Foreign        uint64 // messages for other namespaces
	Malformed      uint64 // messages that made no sense
	Unknown        uint64 // well-formed messages of an unknown kind
	RequestsLost   uint64 // requests of other nodes dropped because too many waited
	Resubscribed   uint64 // subscriptions that had to be made again
	Silent         uint64 // of these, because a probe did not come back
	StreamGaps     uint64 // times entries of a stream went unread: trimmed, or lost with the stream
	Requests       uint64 // requests to other nodes
	RequestsFailed uint64 // of these, those that lacked answers in the end
	ByKind         [7]RequestStats

	// Nodes is how many other Go nodes live, and Lag how long the last probe took
	// from here through Redis and back.
	Nodes int
	Lag   time.Duration
}

// RequestStats counts the requests of one kind.
type RequestStats struct {
	Kind         string // such as "fetchSockets"
	Sent, Failed uint64
}

// requestKinds are the operations that ask other nodes; opChange has the name of a label.
var requestKinds = [...]string{opEmitWithAck, opFetchSockets, opAllRooms, opServerSideEmit, opRemoteDisconnect, opServerCount, "change"}

// RequestKinds returns the kinds of Stats.ByKind, in its order.
func RequestKinds() []string { return slices.Clone(requestKinds[:]) }

// requestCounters counts one kind of requests.
type requestCounters struct{ sent, failed atomic.Uint64 }

// of returns the counters of a request.
func (s *counters) of(r *clusterRequest) *requestCounters {
	if i := slices.Index(requestKinds[:], r.operation); i >= 0 {
		return &s.byKind[i]
	}
	return &s.byKind[len(requestKinds)-1]
}

func (s *counters) requestSent(r *clusterRequest) {
	s.requests.Add(1)
	s.of(r).sent.Add(1)
}

func (s *counters) requestFailed(r *clusterRequest) {
	s.requestsFailed.Add(1)
	s.of(r).failed.Add(1)
}

// counters is Stats while it grows.
type counters struct {
	published, publishFailed, publishRefused atomic.Uint64
	received, malformed, unknownRequests     atomic.Uint64
	requestsLost, resubscribed, silent       atomic.Uint64
	streamGaps, ownEntries, foreignEntries   atomic.Uint64
	requests, requestsFailed                 atomic.Uint64
	byKind                                   [len(requestKinds)]requestCounters
	streamLag                                atomic.Int64 // nanoseconds
}

func (s *counters) snapshot() Stats {
	st := Stats{
		Published:      s.published.Load(),
		PublishFailed:  s.publishFailed.Load(),
		PublishRefused: s.publishRefused.Load(),
		Received:       s.received.Load(),
		Malformed:      s.malformed.Load(),
		Unknown:        s.unknownRequests.Load(),
		RequestsLost:   s.requestsLost.Load(),
		Resubscribed:   s.resubscribed.Load(),
		Silent:         s.silent.Load(),
		StreamGaps:     s.streamGaps.Load(),
		Own:            s.ownEntries.Load(),
		Foreign:        s.foreignEntries.Load(),
		Requests:       s.requests.Load(),
		RequestsFailed: s.requestsFailed.Load(),
		Lag:            time.Duration(s.streamLag.Load()),
	}
	for i := range s.byKind {
		st.ByKind[i] = RequestStats{requestKinds[i], s.byKind[i].sent.Load(), s.byKind[i].failed.Load()}
	}
	return st
}

// Plus adds the numbers of the adapter of another namespace; of Nodes and Lag it
// keeps the larger.
func (s Stats) Plus(o Stats) Stats {
	sum := Stats{
		Published: s.Published + o.Published, PublishFailed: s.PublishFailed + o.PublishFailed, PublishRefused: s.PublishRefused + o.PublishRefused,
		Received: s.Received + o.Received, Own: s.Own + o.Own, Foreign: s.Foreign + o.Foreign,
		Malformed: s.Malformed + o.Malformed, Unknown: s.Unknown + o.Unknown, RequestsLost: s.RequestsLost + o.RequestsLost,
		Resubscribed: s.Resubscribed + o.Resubscribed, Silent: s.Silent + o.Silent, StreamGaps: s.StreamGaps + o.StreamGaps,
		Requests: s.Requests + o.Requests, RequestsFailed: s.RequestsFailed + o.RequestsFailed,
		Nodes: max(s.Nodes, o.Nodes), Lag: max(s.Lag, o.Lag),
	}
	for i := range sum.ByKind {
		sum.ByKind[i] = RequestStats{requestKinds[i], s.ByKind[i].Sent + o.ByKind[i].Sent, s.ByKind[i].Failed + o.ByKind[i].Failed}
	}
	return sum
}
