package history

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

// story is a history that a test writes by hand, in seconds.
type story struct {
	entries []Entry
	ids     int
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// op appends an operation from one time to another; a phase of "" leaves it without an end.
func (h *story) op(from, to float64, phase Phase, e Entry, fill ...func(*Entry)) *story {
	h.ids++
	e.ID, e.At, e.Phase = h.ids, seconds(from), Invoke
	h.entries = append(h.entries, e)
	if phase != "" {
		e.At, e.Phase = seconds(to), phase
		for _, f := range fill {
			f(&e)
		}
		h.entries = append(h.entries, e)
	}
	return h
}

func (h *story) note(at float64, e Entry) *story {
	e.At, e.Phase = seconds(at), Note
	h.entries = append(h.entries, e)
	return h
}

func (h *story) connect(from, to float64, process, session, node string, recovered bool) *story {
	return h.op(from, to, OK, Entry{Process: process, Action: Connect}, func(e *Entry) {
		e.Session, e.Node, e.Recovered = session, node, recovered
	})
}

func (h *story) lost(at float64, process, session, reason string) *story {
	return h.note(at, Entry{Process: process, Action: Lost, Session: session, Reason: reason})
}

func (h *story) change(from, to float64, action Action, session string) *story {
	return h.op(from, to, OK, Entry{Process: session, Action: action, Session: session, Room: "room"})
}

func (h *story) emit(at float64, node string, seq int) *story {
	return h.op(at, at+0.01, OK, Entry{Process: "sender", Action: Emit, Node: node, Sender: "sender at " + node, Seq: seq, Room: "room"})
}

func (h *story) got(at float64, session, node string, seq int) *story {
	return h.note(at, Entry{Action: Receive, Session: session, Sender: "sender at " + node, Seq: seq, Room: "room"})
}

func (h *story) call(from, to float64, phase Phase, names ...string) *story {
	return h.op(from, to, phase, Entry{Process: "sender", Action: Call, Node: "a", Sender: "caller", Seq: 1, Room: "room", Limit: seconds(1)}, func(e *Entry) { e.Names = names })
}

// notReached is a call that ends early because the other nodes were not reached.
func (h *story) notReached() *story {
	return h.op(3, 3.5, Info, Entry{Process: "sender", Action: Call, Node: "a", Sender: "caller", Seq: 1, Room: "room", Limit: seconds(1)}, func(e *Entry) {
		e.Names, e.Reason = []string{"s1", "s2"}, "adapter: cluster not reached: EOF"
	})
}

func (h *story) list(from, to float64, action Action, names ...string) *story {
	return h.op(from, to, OK, Entry{Process: "sender", Action: action, Node: "a", Room: "room"}, func(e *Entry) { e.Names = names })
}

func (h *story) ask(from, to float64, seq int, answer string, seen int) *story {
	return h.op(from, to, OK, Entry{Process: "one", Action: Ask, Session: "s1", Seq: seq}, func(e *Entry) {
		e.Names, e.Seen = []string{answer}, seen
	})
}

func (h *story) fault(from, to float64, phase Phase, node, reason string) *story {
	return h.op(from, to, phase, Entry{Process: "nemesis", Action: Fault, Node: node, Reason: reason})
}

// sorted returns the entries in the order of time.
func (h *story) sorted() []Entry {
	list := slices.Clone(h.entries)
	slices.SortStableFunc(list, func(a, b Entry) int { return int(a.At - b.At) })
	return list
}

// begin is two nodes, two clients and the room of both.
func begin() *story {
	h := &story{}
	return h.fault(0, 0.1, OK, "a", Starting).fault(0, 0.1, OK, "b", Starting).
		connect(1, 1.1, "one", "s1", "a", false).connect(1, 1.1, "two", "s2", "b", false).
		change(2, 2.1, Join, "s1").change(2, 2.1, Join, "s2")
}

func (h *story) end() *story { return h.note(100, Entry{Action: End}) }

var testRules = Rules{Settle: 10 * time.Second, Gone: 5 * time.Second, Stale: time.Second}

// Each rule refuses what breaks it. The stories are as short as they can be; each good one
// differs from a bad one in what the rule is about.
func TestCheck_RefusesEachRule(t *testing.T) {
	t.Parallel()
	broken := map[string]map[string]*story{
		RuleOrder: {
			"later before earlier": begin().emit(3, "a", 1).emit(3.1, "a", 2).got(4, "s2", "a", 2).got(4.1, "s2", "a", 1),
		} {
		t.Run(name, func(t *testing.T) {
			if found := Check(h.sorted(), testRules); len(found) > 0 {
				t.Errorf("refused: %v", found)
			}
		})
	}
}

func TestRead_IsTheInverseOfWrite(t *testing.T) {
	t.Parallel()
	want := begin().emit(3, "a", 1).list(4, 4.1, Fetch, "s1").end().sorted()
	var b bytes.Buffer
	if err := Write(&b, want); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&b)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d of %d entries, %v", len(got), len(want), err)
	}
	for i := range got {
		if got[i].Action != want[i].Action || got[i].At != want[i].At || !slices.Equal(got[i].Names, want[i].Names) {
			t.Errorf("entry %d is %+v, not %+v", i, got[i], want[i])
		}
	}
}
