package adapter

import "sync/atomic"

// Stats counts what happened to an adapter since it was made.
type Stats struct {
	Published      uint64 // messages Redis took
	PublishFailed  uint64 // messages lost because Redis did not take them
	PublishRefused uint64 // messages refused with ErrQueueFull
	Received       uint64 // messages from other nodes that were acted on
	Malformed      uint64 // messages that made no sense
	Unknown        uint64 // well-formed messages of an unknown kind
	RequestsLost   uint64 // requests of other nodes dropped because too many waited
	Resubscribed   uint64 // subscriptions that had to be made again
	Silent         uint64 // of these, because a probe did not come back
	StreamGaps     uint64 // times a stream was trimmed before it was read
}

// stats is Stats while it grows.
type stats struct {
	published, publishFailed, publishRefused atomic.Uint64
	received, malformed, unknown             atomic.Uint64
	requestsLost, resubscribed, silent       atomic.Uint64
	streamGaps                               atomic.Uint64
}

func (s *stats) snapshot() Stats {
	return Stats{
		Published:      s.published.Load(),
		PublishFailed:  s.publishFailed.Load(),
		PublishRefused: s.publishRefused.Load(),
		Received:       s.received.Load(),
		Malformed:      s.malformed.Load(),
		Unknown:        s.unknown.Load(),
		RequestsLost:   s.requestsLost.Load(),
		Resubscribed:   s.resubscribed.Load(),
		Silent:         s.silent.Load(),
		StreamGaps:     s.streamGaps.Load(),
	}
}
