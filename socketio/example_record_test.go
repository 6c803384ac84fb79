package socketio_test

import (
	"context"
	"errors"
	"fmt"

	"posthouse/socketio"
)

// diary keeps the names of recorded events. Package history has a Recorder for real use.
type diary struct{ names []string }

func (d *diary) Record(r socketio.Recording) (*socketio.Recorded, error) {
	d.names = append(d.names, r.Event)
	rec := &socketio.Recorded{Rooms: r.Rooms, Entry: []byte(r.Event)}
	rec.Settle([]socketio.RecordID{{Millis: 1, Sequence: uint64(len(d.names))}})
	return rec, nil
}

func ExampleNamespace_KeepRecords() {
	io := socketio.NewServer(nil)
	defer io.Shutdown(context.Background())
	kept := &diary{}
	io.Of("/").KeepRecords(kept)
	_ = io.To("room").Record().Emit("said", "hello")
	_ = io.To("room").RecordFrom("ada").Emit("said", "hello")
	_ = io.To("room").Emit("typing")
	var recorder socketio.Recorder = io.Of("/").Recorder()
	fmt.Println(kept.names, recorder == kept)
	// Output: [said said] true
}

func ExampleParentNamespace_KeepRecords() {
	io := socketio.NewServer(nil)
	defer io.Shutdown(context.Background())
	io.OfPattern("/team/{id}").KeepRecords(&diary{})
	// Output:
}

func ExampleParseRecordID() {
	id, ok := socketio.ParseRecordID("1732700000123-4")
	fmt.Println(id, ok, id.Compare(socketio.RecordID{Millis: 1}) > 0)
	// Output: 1732700000123-4 true true
}

func ExampleSocket_HoldRoom() {
	io := socketio.NewServer(nil)
	defer io.Shutdown(context.Background())
	io.OnEvent("enter", func(e *socketio.Event) {
		s := e.Socket()
		var hold *socketio.RoomHold = s.HoldRoom("hall")
		if s.Join("hall") != nil {
			hold.Cancel()
			return
		}
		newest := socketio.RecordID{} // of the snapshot that is read here
		if err := hold.Release(newest, func() { _ = e.Ack("the snapshot") }); errors.Is(err, socketio.ErrHoldOverflow) {
			s.Leave("hall")
		}
	})
	// Output:
}

func ExampleRecorded() {
	rec := &socketio.Recorded{Rooms: []string{"hall"}}
	rec.Settle([]socketio.RecordID{{Millis: 1}})
	fmt.Println(rec.IDs())
	// Output: [1-0]
}
