package adapter

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"posthouse/socketio"
)

// Any writer of Redis may have put there what these targets are given in its place.

// FuzzEntryID holds the ids of entries against those of histories, which are Redis's as well.
func FuzzEntryID(f *testing.F) {
	for _, s := range []string{"1795346453668-0", "0-0", "01-02", "18446744073709551615-18446744073709551615", "1-", "-1", "+1-1", "1-1-1", "1 -1", "18446744073709551616-0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := parseEntryID(s)
		record, also := socketio.ParseRecordID(s)
		if ok != also || ok && (id.millis != record.Millis || id.sequence != record.Sequence) {
			t.Fatalf("%q: %v %t, as the id of a record %v %t", s, id, ok, record, also)
		}
		if !ok {
			return
		}
		if again, ok := parseEntryID(id.String()); !ok || again != id {
			t.Fatalf("%q: %v is read as %v", s, id, again)
		}
		last := entryID{math.MaxUint64, math.MaxUint64}
		if next := id.next(); next.compare(id) <= 0 && id != last {
			t.Fatalf("%v is followed by %v", id, next)
		}
	})
}

func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"h6NzaWSkYWJjZKNwaWSjcGlkpXJvb21zkaRhYmNkpGRhdGGA", "gA==", "", "!", "kA==", "gaNzaWSkYWJjZA==",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		session, err := decodeSession(s)
		if err != nil {
			if session != nil || len(err.Error()) > 80 {
				t.Fatalf("%v: an error quotes what came: %v", session, err)
			}
			return
		}
		if session.SID == "" || len(session.Data) > 0 && !json.Valid(session.Data) {
			t.Fatalf("accepted %+v", session)
		}
		packed, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatalf("accepted without being base64: %v", err)
		}
		size := len(session.SID) + len(session.PID) + len(session.Data)
		for _, room := range session.Rooms {
			size += len(room)
		}
		// A byte of a text can become six in JSON, as \u0000.
		if size > 6*len(packed)+64 {
			t.Fatalf("%d bytes of %d", size, len(packed))
		}
	})
}

func FuzzRecordedIDs(f *testing.F) {
	f.Add("1795346453668-0         1795346453668-12        ", 2)
	f.Add(strings.Repeat("~", idWidth), 1)
	f.Add("", 3)
	f.Add(strings.Repeat("1-1", 1000), 1)
	f.Fuzz(func(t *testing.T, text string, n int) {
		rooms := make([]string, max(0, min(n, 64)))
		for i := range rooms {
			rooms[i] = fmt.Sprint("room", i)
		}
		r := parseRecorded(text, rooms)
		if r == nil {
			return
		}
		ids := r.IDs()
		if len(r.Rooms) > len(rooms) || len(ids) != len(r.Rooms) {
			t.Fatalf("%d ids for %d of %d rooms", len(ids), len(r.Rooms), len(rooms))
		}
		for i, id := range ids {
			if id == (socketio.RecordID{}) {
				continue
			}
			if got := strings.TrimRight(text[i*idWidth:(i+1)*idWidth], " "); strings.TrimLeft(got, "0") != id.String() && !strings.Contains(got, "-0") && !strings.HasPrefix(got, "0") {
				t.Fatalf("%q is read as %v", got, id)
			}
		}
	})
}

// FuzzPresenceField holds a user's field against its definition: the connections of living nodes.
func FuzzPresenceField(f *testing.F) {
	for _, s := range []string{"1795346453668|a=1,b=2", "|", "", "x|a=x", "1|a=-3", "1|a=9223372036854775807,b=1", "1|dead=4", "1|a=1,a=1", "99999999999999999999|a=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		since, connections, here := parsePresence(s, map[string]bool{"a": true, "b": true, "dead": false})
		if connections < 0 {
			t.Fatalf("%q: %d connections", s, connections)
		}
		if !here && connections != 0 {
			t.Fatalf("%q: %d connections of a user who is away", s, connections)
		}
		if _, err := json.Marshal(since); here && err != nil {
			t.Fatalf("%q: since %v cannot be told: %v", s, since, err)
		}
	})
}

func FuzzNodePresence(f *testing.F) {
	for _, s := range []string{`{"uid":"abc","type":"hello"}`, `{"uid":"abc","type":"bye"}`, `{"uid":"me","type":"beat"}`, `{"uid":"","type":"beat"}`, `{"uid":"x","type":"?"}`, `[]`, `null`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		said, left := 0, 0
		p := newPeers("me", time.Second, func([]byte) { said++ }, func(string) { left++ })
		ok := p.receiveMessage(b)
		if said+left > 1 {
			t.Fatalf("one message makes %d", said+left)
		}
		if !ok && (said+left > 0 || len(p.lastHeard) > 0) {
			t.Fatal("a message that makes no sense has an effect")
		}
		for uid := range p.lastHeard {
			if uid == "" || uid == "me" || len(uid) > 64 {
				t.Fatalf("remembers the node %q", uid)
			}
		}
	})
}

// FuzzRelayTrust lets nothing pass that was not signed for exactly this purpose.
func FuzzRelayTrust(f *testing.F) {
	keys, err := newRelayKeys([][]byte{[]byte("a secret of thirty-two characters")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(keys.signedEntry("tag", "10.0.0.1:80"), "tag")
	f.Add(keys.signedEntry("tag", "10.0.0.1:80"), "gat")
	f.Add(keys.requestMark(markRelay, "from", "tag", "sid"), "tag")
	f.Add(keys.requestMark(markBrief, "from", "tag", "sid")+" ", "tag")
	f.Add("10.0.0.1:80 ", "tag")
	f.Fuzz(func(t *testing.T, text, tag string) {
		if addr, ok := keys.readEntry(tag, text); ok && text != keys.signedEntry(tag, addr) {
			t.Fatalf("%q is trusted for %q", text, tag)
		}
		if kind := keys.readMark(text, tag, "sid"); kind != "" {
			from := strings.Split(text, " ")[1]
			if text != keys.requestMark(kind, from, tag, "sid") {
				t.Fatalf("%q is trusted for %q", text, tag)
			}
		}
	})
}
