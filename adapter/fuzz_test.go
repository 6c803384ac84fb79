package adapter

import (
	"bytes"
	"encoding/json"
	"testing"
)

// Every decoder of what other nodes send: no input makes it panic, and what it
// accepts can be written and read again without change.

func seed(f *testing.F, file string, commands ...string) {
	for _, r := range readRecorded(f, file) {
		for _, c := range commands {
			if r.Args[0] == c {
				f.Add([]byte(r.Args[len(r.Args)-1]))
			}
		}
	}
}

func FuzzClassicBroadcast(f *testing.F) {
	seed(f, "classic", "publish")
	seed(f, "emitter", "publish")
	f.Fuzz(func(t *testing.T, b []byte) {
		uid, p, o, err := decodeClassicBroadcast(b)
		if err != nil {
			return
		}
		if !json.Valid(p.Data) {
			t.Fatalf("invalid JSON %q", p.Data)
		}
		first, err := appendClassicBroadcast(nil, uid, p, &o, adapterOrder)
		if err != nil {
			t.Fatal(err)
		}
		uid, p, o, err = decodeClassicBroadcast(first)
		if err != nil {
			t.Fatal(err)
		}
		second, err := appendClassicBroadcast(nil, uid, p, &o, adapterOrder)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%q\n%q\n%v", first, second, err)
		}
	})
}

func FuzzClassicRequest(f *testing.F) {
	seed(f, "classic", "publish")
	seed(f, "old", "publish")
	f.Fuzz(func(t *testing.T, b []byte) {
		if req, err := decodeClassicAckRequest(b); err == nil && req != nil {
			first, err := req.appendTo(nil)
			if err != nil {
				t.Fatal(err)
			}
			again, err := decodeClassicAckRequest(first)
			if err != nil {
				t.Fatal(err)
			}
			if second, err := again.appendTo(nil); err != nil || !bytes.Equal(first, second) {
				t.Fatalf("%q\n%q\n%v", first, second, err)
			}
		}
		if req, err := decodeClassicJSON[classicRequest](b); err == nil {
			if _, err := marshalJSON(req); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzClassicResponse(f *testing.F) {
	seed(f, "classic", "publish")
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, v, err := decodeClassicAck(b); err == nil {
			if _, err := appendClassicAck(nil, id, v); err != nil {
				t.Fatal(err)
			}
		}
		if res, err := decodeClassicJSON[classicResponse](b); err == nil {
			_, _ = socketsFromJSON(res.Sockets)
		}
		_, _ = decodeSession(string(b))
		p := newPeers("x", 1, func([]byte) {}, func(string) {})
		p.receiveMessage(b)
	})
}

func FuzzCluster(f *testing.F) {
	seed(f, "sharded", "spublish")
	seed(f, "streams", "publish")
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeCluster(b)
		if err != nil {
			return
		}
		checkCluster(t, m)
	})
}

func FuzzEntry(f *testing.F) {
	for _, r := range readRecorded(f, "streams") {
		if r.Args[0] == "xadd" {
			f.Add(r.Args[7], r.Args[9], r.Args[11], r.Args[13])
		}
	}
	f.Fuzz(func(t *testing.T, uid, nsp, typ, data string) {
		m, err := decodeEntry(map[string]any{"uid": uid, "nsp": nsp, "type": typ, "data": data})
		if err != nil || m == nil {
			return
		}
		checkCluster(t, m)
	})
}

func checkCluster(t *testing.T, m *clusterMessage) {
	t.Helper()
	if m.messageType < clusterBroadcast || m.messageType >= clusterClose || m.messageType == clusterFetchResponse && len(m.socketsJSON) == 0 {
		return // heartbeats of other adapters
	}
	first, err := m.encodeSharded()
	if err != nil {
		t.Fatal(err)
	}
	again, err := decodeCluster(first)
	if err != nil {
		t.Fatalf("%q: %v", first, err)
	}
	if len(m.value.JSON) == 0 && m.packet == nil {
		return
	}
	if second, err := again.encodeSharded(); err != nil || !bytes.Equal(first, second) {
		t.Fatalf("%q\n%q\n%v", first, second, err)
	}
}
