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
			"late after a cut": begin().fault(3.005, 6, OK, "a", CutOff).emit(3, "a", 1).got(3.1, "s1", "a", 1).emit(5, "a", 2).got(5.1, "s1", "a", 2).
				got(5.2, "s2", "a", 2).got(5.3, "s2", "a", 1),
		},
		RuleOnce: {
			"twice":                begin().emit(3, "a", 1).got(4, "s2", "a", 1).got(5, "s2", "a", 1),
			"again when recovered": begin().emit(3, "a", 1).got(4, "s2", "a", 1).lost(5, "two", "s2", "").connect(5.1, 5.2, "two", "s2", "a", true).got(5.3, "s2", "a", 1),
			"again for the sender's node, without a fault": begin().emit(3, "a", 1).got(3.1, "s1", "a", 1).got(4.5, "s1", "a", 1),
		},
		RuleMember: {
			"never joined": begin().connect(3, 3.1, "three", "s3", "a", false).emit(4, "a", 1).got(5, "s3", "a", 1),
			"long left":    begin().change(3, 3.1, Leave, "s2").emit(4, "a", 1).got(5, "s2", "a", 1),
		},
		RuleSent: {
			"never sent":     begin().got(4, "s2", "a", 7),
			"before it was":  begin().got(4, "s2", "a", 1).emit(5, "a", 1),
			"to another one": begin().emit(3, "b", 1).got(4, "s2", "a", 1),
		},
		RuleDelivery: {
			"a gap":                       begin().emit(3, "a", 1).emit(3.1, "a", 2).got(4, "s2", "a", 2),
			"overdue":                     begin().emit(3, "a", 1).end(),
			"a fault of another node":     begin().fault(2.5, 90, OK, "c", CutOff).emit(3, "a", 1).end(),
			"a fault that was long over":  begin().fault(2.2, 2.5, OK, "b", CutOff).emit(3, "a", 1).end(),
			"a fault of the other's node": begin().connect(2.2, 2.3, "three", "s3", "c", false).change(2.4, 2.5, Join, "s3").fault(2.6, 90, OK, "b", CutOff).emit(3, "a", 1).got(3.1, "s1", "a", 1).end(),
		},
		RuleRecovery: {
			"missed while away": begin().emit(3, "a", 1).got(3.1, "s2", "a", 1).lost(4, "two", "s2", "").emit(5, "a", 2).got(5.1, "s1", "a", 2).
				connect(6, 6.1, "two", "s2", "a", true),
			"missed before": begin().fault(2.5, 4.4, OK, "b", CutOff).emit(3, "a", 1).got(3.1, "s1", "a", 1).emit(4, "a", 2).got(4.1, "s1", "a", 2).got(4.1, "s2", "a", 2).
				lost(4.5, "two", "s2", "").connect(6, 6.1, "two", "s2", "a", true),
			"missed with its node killed": begin().emit(3, "a", 1).got(3.1, "s2", "a", 1).emit(5, "a", 2).got(5.1, "s1", "a", 2).fault(5, 0, "", "b", Killed).
				lost(5.1, "two", "s2", "").connect(6, 6.1, "two", "s2", "a", true),
		},
		RuleIdentity: {
			"recovered without a session":    begin().connect(3, 3.1, "three", "s3", "a", true),
			"recovered as another":           begin().lost(3, "two", "s2", "").connect(3.1, 3.2, "two", "s1", "a", true),
			"the same id for a new session":  begin().lost(3, "two", "s2", "").connect(3.1, 3.2, "two", "s2", "a", false),
			"the id of another client":       begin().connect(3.1, 3.2, "three", "s2", "a", false),
			"recovered after a kick":         begin().op(3, 3.1, OK, Entry{Action: Kick, Room: "room", Node: "a"}).lost(3.05, "two", "s2", KickedReason).connect(3.2, 3.3, "two", "s2", "a", true),
			"a room that it had left":        begin().change(3, 3.1, Leave, "s1").op(4, 4.1, OK, Entry{Action: Rooms, Session: "s1"}, func(e *Entry) { e.Names = []string{"s1", "room"} }),
			"a room that it lost":            begin().op(4, 4.1, OK, Entry{Action: Rooms, Session: "s1"}, func(e *Entry) { e.Names = []string{"s1"} }),
			"a room that it lost on the way": begin().lost(8, "two", "s2", "").connect(8.1, 8.2, "two", "s2", "a", true).op(9, 9.1, OK, Entry{Action: Rooms, Session: "s2"}, func(e *Entry) { e.Names = []string{"s2"} }),
		},
		RuleAnswers: {
			"one answers twice":     begin().gotCall(3.1, "s1").gotCall(3.1, "s2").call(3, 3.5, OK, "s1", "s1", "s2"),
			"a stranger answers":    begin().gotCall(3.1, "s1").gotCall(3.1, "s2").call(3, 3.5, OK, "s1", "s2", "s9"),
			"one has not got it":    begin().gotCall(3.1, "s1").call(3, 3.5, OK, "s1", "s2"),
			"one is left out":       begin().gotCall(3.1, "s1").gotCall(3.1, "s2").call(3, 3.5, OK, "s1"),
			"one is not waited for": begin().gotCall(3.1, "s1").gotCall(3.1, "s2").call(3, 4.5, Info, "s1"),
			"a second end":          begin().callTwice(),
		},
		RuleTimeout: {
			"early":                             begin().gotCall(3.1, "s1").gotCall(3.1, "s2").call(3, 3.5, Info, "s1", "s2"),
			"not reached, and nothing is wrong": begin().gotCall(3.1, "s1").gotCall(3.1, "s2").notReached(),
		},
		RuleInbound: {
			"another's answer": begin().ask(3, 3.1, 1, "2", 0),
			"out of order":     begin().ask(3, 3.1, 1, "1", 2),
			"twice":            begin().ask(3, 3.1, 1, "1", 1),
			"one forgotten":    begin().ask(3, 3.1, 1, "1", 0).ask(4, 4.1, 2, "2", 0),
		},
		RuleFetch: {
			"one is missing":      begin().list(3, 3.1, Fetch, "s1"),
			"twice the same":      begin().list(20, 20.1, Fetch, "s1", "s2", "s2"),
			"twice after a cut":   begin().fault(18, 19, OK, "a", CutOff).list(20, 20.1, Fetch, "s1", "s2", "s2"),
			"one that left":       begin().change(2.5, 2.6, Leave, "s2").list(3, 3.1, Fetch, "s1", "s2"),
			"one long gone":       begin().lost(3, "two", "s2", "").connect(3.1, 3.2, "two", "s3", "a", false).list(20, 20.1, Fetch, "s1", "s2"),
			"one not there yet":   begin().list(3, 3.1, Fetch, "s1", "s2", "s3").connect(4, 4.1, "three", "s3", "a", false).end(),
			"one that never was":  begin().list(20, 20.1, Fetch, "s1", "s2", "s9").end(),
			"one of a node alone": begin().fault(0.2, 0.3, OK, "b", CutOff).list(3, 3.1, Fetch, "s1"),
		},
		RuleSide: {
			"no answer":    begin().list(3, 3.1, Side),
			"two answers":  begin().list(3, 3.1, Side, "b", "b"),
			"its own":      begin().list(3, 3.1, Side, "a", "b"),
			"one of three": begin().fault(2.2, 2.3, OK, "c", Starting).list(3, 3.1, Side, "c"),
		},
		RuleKick: {
			"without a word": begin().lost(3, "two", "s2", KickedReason),
			"of a room left": begin().change(2.5, 2.6, Leave, "s2").op(3, 3.1, OK, Entry{Action: Kick, Room: "room", Node: "a"}).lost(3.2, "two", "s2", KickedReason),
			"without effect": begin().op(3, 3.1, OK, Entry{Action: Kick, Room: "room", Node: "a"}).lost(3.2, "one", "s1", KickedReason).end(),
		},
		RuleHeal: {
			"never together": begin().fault(3, 50, Fail, "a", CutOff),
		},
		RuleCompleted: {
			"ends twice": begin().endTwice(),
		},
	}
	for _, rule := range AllRules {
		if len(broken[rule]) == 0 {
			t.Errorf("no story breaks the rule %q", rule)
		}
		for name, h := range broken[rule] {
			t.Run(rule+"/"+name, func(t *testing.T) {
				found := Check(h.sorted(), testRules)
				if !slices.ContainsFunc(found, func(v Violation) bool { return v.Rule == rule }) {
					t.Errorf("not refused by the rule, but: %v", found)
				}
			})
		}
	}
}

func (h *story) gotCall(at float64, session string) *story {
	return h.note(at, Entry{Action: Receive, Session: session, Sender: "caller", Seq: 1, Room: "room"})
}

func (h *story) callTwice() *story {
	h.gotCall(3.1, "s1").gotCall(3.1, "s2").call(3, 3.5, OK, "s1", "s2")
	again := h.entries[len(h.entries)-1]
	again.At = seconds(3.6)
	h.entries = append(h.entries, again)
	return h
}

func (h *story) endTwice() *story {
	again := h.entries[len(h.entries)-1]
	again.At = seconds(3.6)
	h.entries = append(h.entries, again)
	return h
}

// Histories without a fault are not refused.
func TestCheck_AcceptsWhatIsRight(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]*story{
		"nothing": {},
		"all in order": begin().emit(3, "a", 1).emit(3.1, "a", 2).got(3.2, "s1", "a", 1).got(3.2, "s1", "a", 2).got(3.3, "s2", "a", 1).got(3.3, "s2", "a", 2).
			gotCall(4.1, "s1").gotCall(4.1, "s2").call(4, 4.5, OK, "s1", "s2").list(5, 5.1, Fetch, "s2", "s1").list(5, 5.1, Side, "b").ask(6, 6.1, 1, "1", 0).ask(7, 7.1, 2, "2", 1).end(),
		"lost while cut off":             begin().fault(2.5, 5, OK, "b", CutOff).emit(3, "a", 1).got(3.1, "s1", "a", 1).end(),
		"lost on the last metre":         begin().emit(3, "a", 1).got(3.1, "s1", "a", 1).lost(3.01, "two", "s2", "").connect(4, 4.1, "two", "s3", "b", false).end(),
		"to one that is leaving":         begin().op(3, 5, OK, Entry{Action: Leave, Session: "s2", Room: "room"}).emit(4, "a", 1).got(4.1, "s1", "a", 1).got(4.2, "s2", "a", 1).end(),
		"replayed":                       begin().emit(3, "a", 1).got(3.1, "s1", "a", 1).got(3.1, "s2", "a", 1).lost(4, "two", "s2", "").emit(5, "a", 2).got(5.1, "s1", "a", 2).got(6, "s2", "a", 2).connect(5.9, 6.1, "two", "s2", "a", true).end(),
		"not recovered":                  begin().emit(3, "a", 1).got(3.1, "s1", "a", 1).got(3.1, "s2", "a", 1).lost(4, "two", "s2", "").emit(5, "a", 2).got(5.1, "s1", "a", 2).connect(5.9, 6.1, "two", "s3", "a", false).end(),
		"an honest timeout":              begin().connect(2.5, 2.6, "three", "s3", "a", false).op(2.9, 9, OK, Entry{Action: Join, Session: "s3", Room: "room"}).gotCall(3.1, "s1").gotCall(3.1, "s2").call(3, 4.1, Info, "s1", "s2"),
		"a node that is cut off says so": begin().fault(2.9, 4, OK, "a", CutOff).gotCall(3.1, "s1").gotCall(3.1, "s2").notReached(),
		"a killed node is gone":          begin().fault(3, 0, "", "b", Killed).list(4, 4.1, Fetch, "s1").list(4, 4.1, Side),
		"a kick under way": begin().op(3, 3.2, OK, Entry{Action: Kick, Room: "room", Node: "a"}).list(3.05, 3.06, Fetch, "s1").
			lost(3.1, "two", "s2", KickedReason).lost(3.2, "one", "s1", KickedReason).end(),
		"kicked": begin().op(3, 3.1, OK, Entry{Action: Kick, Room: "room", Node: "a"}).lost(3.05, "one", "s1", KickedReason).lost(3.2, "two", "s2", KickedReason).end(),
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
