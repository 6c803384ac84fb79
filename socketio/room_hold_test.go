package socketio_test

import (
	"errors"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// numbering is a Recorder whose ids the test settles.
type numbering struct{ last *socketio.Recorded }

func (n *numbering) Record(r socketio.Recording) (*socketio.Recorded, error) {
	n.last = &socketio.Recorded{Rooms: r.Rooms}
	return n.last, nil
}

func at(sequence uint64) []socketio.RecordID {
	return []socketio.RecordID{{Millis: 1, Sequence: sequence}}
}

func TestHoldRoom_Release_DropsWhatTheSnapshotHolds(t *testing.T) {
	srv := sockettest.NewServer(t, nil)
	recorder := &numbering{}
	srv.Of("/").KeepRecords(recorder)
	c := srv.Connect("/", nil)
	s := srv.Socket(c.ID)
	emit := func(name string) *socketio.Recorded {
		if err := srv.To("room").Record().Emit(name); err != nil {
			t.Fatal(err)
		}
		return recorder.last
	}
	hold := s.HoldRoom("room")
	_ = s.Join("room")
	before, in, after, unknown := emit("before"), emit("in"), emit("after"), emit("unknown")
	before.Settle(at(1))
	in.Settle(at(2))
	after.Settle(at(3))
	_ = srv.To("room").Emit("foreign") // has no id, as those of Node
	_ = srv.To(c.ID).Emit("elsewhere") // another room is not held
	c.Expect("elsewhere")
	c.Quiet()
	err := hold.Release(at(2)[0], func() { _ = s.Emit("snapshot") })
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"snapshot", "after", "unknown", "foreign"} {
		c.Expect(want)
	}
	unknown.Settle(at(4))

	// Events that come late are judged as well.
	recorder = &numbering{}
	srv.Of("/").KeepRecords(settled{at(2)})
	emitLate := func(name string) { _ = srv.To("room").Record().Emit(name) }
	emitLate("late")
	srv.Of("/").KeepRecords(settled{at(5)})
	emitLate("new")
	c.Expect("new")
}

// settled is a Recorder of events whose ids are known at once, as those of other nodes.
type settled struct{ ids []socketio.RecordID }

func (r settled) Record(in socketio.Recording) (*socketio.Recorded, error) {
	rec := &socketio.Recorded{Rooms: in.Rooms}
	rec.Settle(r.ids)
	return rec, nil
}

func TestHoldRoom_TooMuchComes_ReleaseRefuses(t *testing.T) {
	for name, emit := range map[string]func(room socketio.BroadcastOperator){
		"bytes": func(room socketio.BroadcastOperator) {
			for range 5 {
				_ = room.Emit("large", make([]byte, 1<<20))
			}
		},
		"events": func(room socketio.BroadcastOperator) {
			for range 4097 {
				_ = room.Emit("small")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := sockettest.NewServer(t, nil)
			c := srv.Connect("/", nil)
			s := srv.Socket(c.ID)
			hold := s.HoldRoom("room")
			_ = s.Join("room")
			emit(srv.To("room"))
			err := hold.Release(socketio.RecordID{}, func() { t.Error("the snapshot is sent") })
			if !errors.Is(err, socketio.ErrHoldOverflow) {
				t.Errorf("%v", err)
			}
			_ = srv.To("room").Emit("live")
			c.Expect("live") // the hold is over
		})
	}
}

func TestHoldRoom_Cancel_EndsTheHold(t *testing.T) {
	srv := sockettest.NewServer(t, nil)
	c := srv.Connect("/", nil)
	s := srv.Socket(c.ID)
	_ = s.Join("room")
	hold := s.HoldRoom("room")
	_ = srv.To("room").Emit("held")
	hold.Cancel()
	_ = srv.To("room").Emit("live")
	c.Expect("live")
}

func TestRecordID(t *testing.T) {
	for text, want := range map[string]bool{"1-2": true, "0-0": true, "1": false, "": false, "a-1": false, "1-": false, "1-2-3": false, "-1-2": false} {
		id, ok := socketio.ParseRecordID(text)
		if ok != want || ok && id.String() != text {
			t.Errorf("%q: %v %t", text, id, ok)
		}
	}
	a, b := at(1)[0], socketio.RecordID{Millis: 2}
	if a.Compare(b) >= 0 || b.Compare(a) <= 0 || a.Compare(a) != 0 {
		t.Error("order")
	}
}
