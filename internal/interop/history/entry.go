package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Phase says which end of an operation an entry is.
type Phase string

// An operation begins with Invoke and ends with one of OK, Fail and Info; what merely
// happens is a Note.
const (
	Invoke Phase = "invoke"
	OK     Phase = "ok"   // done
	Fail   Phase = "fail" // certainly not done
	Info   Phase = "info" // not known whether it was done, or done in part
	Note   Phase = "note"
)

// Action is what an entry is about.
type Action string

// The operations of clients, of senders on a node and of the nemesis.
const (
	Connect Action = "connect" // OK: Session, Node, Recovered
	Lost    Action = "lost"    // note: Session's connection is gone, Reason
	Join    Action = "join"    // Session, Room
	Leave   Action = "leave"   // Session, Room
	Rooms   Action = "rooms"   // OK: Names are the rooms of Session at its server
	Ask     Action = "ask"     // Session sends its Seq; OK: Seen is the Seq that the server handled before it, Names[0] the Seq that it answered
	Receive Action = "receive" // note: Session got Seq of Sender, sent to Room

	Emit  Action = "emit"  // Sender on Node sends Seq to Room
	Call  Action = "call"  // Emit with acknowledgements within Limit: Names are the sessions that answered
	Fetch Action = "fetch" // Node lists the sockets of Room: Names
	Side  Action = "side"  // Node asks the other nodes: Names are those that answered
	Kick  Action = "kick"  // Node disconnects the sockets of Room

	Fault Action = "fault" // from Invoke to OK something is wrong with Node, or with all when Node is "": Reason
	End   Action = "end"   // note: the last entry
)

// Entry is one line of a history.
type Entry struct {
	At        time.Duration `json:"at"` // monotonic, from the beginning of the run
	Process   string        `json:"process,omitempty"`
	Phase     Phase         `json:"phase"`
	Action    Action        `json:"action"`
	ID        int           `json:"id,omitempty"` // the same for both ends of an operation
	Node      string        `json:"node,omitempty"`
	Session   string        `json:"session,omitempty"`
	Recovered bool          `json:"recovered,omitempty"`
	Room      string        `json:"room,omitempty"`
	Sender    string        `json:"sender,omitempty"`
	Seq       int           `json:"seq,omitempty"`
	Seen      int           `json:"seen,omitempty"`
	Names     []string      `json:"names,omitempty"`
	Limit     time.Duration `json:"limit,omitempty"`
	Reason    string        `json:"reason,omitempty"`
}

// Write writes a history as lines of JSON.
func Write(w io.Writer, entries []Entry) error {
	buffered := bufio.NewWriter(w)
	lines := json.NewEncoder(buffered)
	for i := range entries {
		if err := lines.Encode(&entries[i]); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

// Read reads what Write wrote.
func Read(r io.Reader) (entries []Entry, err error) {
	lines := json.NewDecoder(r)
	for {
		var e Entry
		if err := lines.Decode(&e); err == io.EOF {
			return entries, nil
		} else if err != nil {
			return nil, fmt.Errorf("entry %d: %w", len(entries), err)
		}
		entries = append(entries, e)
	}
}
