package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

func TestMain(m *testing.M) {
	if os.Getenv("CHAT_TEST_REPLICA") != "" {
		main() // TestThreeReplicas… runs this program as a chat
		return
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { os.Exit(code) }))
}

func start(t *testing.T) (*sockettest.Server, *chat) {
	srv := sockettest.NewServer(t, options())
	return srv, newChat(srv.Server, nil)
}

// guest is what the page sends as auth.
func guest(name string, rooms ...string) map[string]any {
	return map[string]any{"secret": "the secret of " + name + ", kept by the browser", "name": name, "rooms": rooms}
}

// arrive connects a guest and returns its id, and the offset to recover from.
func arrive(t *testing.T, srv *sockettest.Server, auth map[string]any) (c *sockettest.Client, me Person, offset string) {
	t.Helper()
	c = srv.Connect("/", auth)
	hello := c.Expect("hello")
	bind(t, hello.Args, 0, &me)
	bind(t, hello.Args, 1, &offset)
	return c, me, offset
}

func bind(t *testing.T, a sockettest.Args, i int, dst any) {
	t.Helper()
	if err := a.Bind(i, dst); err != nil {
		t.Fatalf("argument %d of %v: %v", i, a, err)
	}
}

// say sends a message, and fails the test when it is refused.
func say(t *testing.T, c *sockettest.Client, room, id, text string) (m Message) {
	t.Helper()
	answer := c.Call("say", map[string]string{"room": room, "id": id, "text": text})
	bind(t, answer, 0, &m)
	if m.ID != id {
		t.Fatalf("say %q: %v", text, answer)
	}
	return m
}

func refusal(a sockettest.Args) string {
	var answer struct{ Error struct{ Code string } }
	_ = json.Unmarshal([]byte(a.JSON(0)), &answer)
	return answer.Error.Code
}

func TestARoomHasItsMessagesAndPeople(t *testing.T) {
	srv, _ := start(t)
	ada, adaIs, _ := arrive(t, srv, guest("Ada", "lobby"))
	say(t, ada, "lobby", "1", "anybody here?")
	ada.Expect("message")
	bo, boIs, _ := arrive(t, srv, guest(" Bo \u200b"))

	var r room
	bind(t, bo.Call("join", map[string]string{"room": "Lobby"}), 0, &r)
	if len(r.Messages) != 1 || r.Messages[0].Text != "anybody here?" || r.Messages[0].From != adaIs {
		t.Errorf("messages: %+v", r.Messages)
	}
	if len(r.People) != 2 {
		t.Errorf("people: %+v", r.People)
	}
	var p Presence
	bind(t, ada.Expect("present").Args, 0, &p)
	if want := (Presence{"lobby", bo.ID, boIs}); p != want || boIs.Name != "Bo" {
		t.Errorf("present: %+v, want %+v", p, want)
	}
	said := say(t, bo, "lobby", "2", "yes")
	for _, c := range []*sockettest.Client{ada, bo} { // the sender gets it like the others
		var m Message
		bind(t, c.Expect("message").Args, 0, &m)
		if m != said || m.At <= r.Messages[0].At {
			t.Errorf("message: %+v, answer: %+v", m, said)
		}
	}
	bo.Close() // without a word
	bind(t, ada.Expect("absent").Args, 0, &p)
	if p.Socket != bo.ID {
		t.Errorf("absent: %+v", p)
	}
}

func TestRoomsAreApart(t *testing.T) {
	srv, _ := start(t)
	ada, _, _ := arrive(t, srv, guest("Ada", "lobby", "help"))
	bo, _, _ := arrive(t, srv, guest("Bo", "lobby"))
	ada.Expect("present")
	say(t, ada, "help", "1", "how does one leave?")
	bo.Quiet()
	ada.Expect("message")
	if code := refusal(bo.Call("say", map[string]string{"room": "help", "id": "2", "text": "like this"})); code != "not_joined" {
		t.Errorf("saying something into another room: %q", code)
	}
	ada.Call("leave", map[string]string{"room": "lobby"})
	bo.Expect("absent")
	say(t, bo, "lobby", "3", "she went")
	ada.Quiet()
}

// The page repeats what was not acknowledged.
func TestAMessageSentTwiceCountsOnce(t *testing.T) {
	srv, c := start(t)
	ada, _, _ := arrive(t, srv, guest("Ada", "lobby"))
	bo, _, _ := arrive(t, srv, guest("Bo", "lobby"))
	first := say(t, ada, "lobby", "1", "hello")
	if again := say(t, ada, "lobby", "1", "hello"); again != first {
		t.Errorf("first %+v, again %+v", first, again)
	}
	bo.Expect("message")
	bo.Quiet()
	// The ids of one person do not shadow those of another.
	say(t, bo, "lobby", "1", "hello yourself")
	page, err := c.kept.Read(t.Context(), srv.Of("/"), roomPrefix+"lobby", keptMessages, "")
	if err != nil || len(messagesOf(page)) != 2 {
		t.Errorf("kept: %+v %v", page, err)
	}
}

// A lost connection comes back: same socket, rooms and person, and what was missed
// comes by itself. Too late, it is a new one, which is in its rooms all the same.
func TestWhoComesBackInTimeMissedNothing(t *testing.T) {
	for away, recovers := range map[time.Duration]bool{time.Minute: true, 3 * time.Minute: false} {
		t.Run(away.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, _ := start(t)
				ada, adaIs, offset := arrive(t, srv, guest("Ada", "lobby"))
				bo, _, _ := arrive(t, srv, guest("Bo", "lobby"))
				ada.Close()
				bo.Expect("absent")
				for i := range 3 {
					say(t, bo, "lobby", fmt.Sprint(i), fmt.Sprint("message ", i))
				}
				time.Sleep(away) // of the bubble's clock

				auth := guest("Ada", "lobby")
				auth["pid"], auth["offset"] = ada.PID, offset
				back, err := srv.TryConnect("/", auth, nil)
				if err != nil {
					t.Fatal(err)
				}
				if (back.ID == ada.ID) != recovers {
					t.Errorf("the socket was %s and is %s", ada.ID, back.ID)
				}
				for i := range 3 {
					if recovers {
						var m Message
						if bind(t, back.Expect("message").Args, 0, &m); m.Text != fmt.Sprint("message ", i) {
							t.Errorf("message %d is %+v", i, m)
						}
					}
				}
				var me Person
				if bind(t, back.Expect("hello").Args, 0, &me); me != adaIs {
					t.Errorf("came back as %+v, was %+v", me, adaIs)
				}
				bo.Expect("present")
				say(t, back, "lobby", "back", "here I am") // still, or again, in the room
			})
		})
	}
}

func TestTypingAndNewNamesAreToldToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := start(t)
		ada, _, _ := arrive(t, srv, guest("Ada", "lobby"))
		bo, _, _ := arrive(t, srv, guest("Bo", "lobby"))
		ada.Expect("present")
		synctest.Wait() // nothing is on its way to Ada, or the volatile news may get lost
		bo.Emit("typing", "lobby")
		bo.Emit("typing", "help") // not there: no client is told
		bo.Emit("typing", map[string]int{"not": 1})
		var p Presence
		if bind(t, ada.Expect("typing").Args, 0, &p); p.Socket != bo.ID {
			t.Errorf("typing: %+v", p)
		}
		bo.Call("rename", map[string]string{"name": "Beau"})
		if bind(t, ada.Expect("present").Args, 0, &p); p.Person.Name != "Beau" {
			t.Errorf("renamed: %+v", p)
		}
		ada.Quiet()
		bo.Quiet()
	})
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	srv, _ := start(t)
	for name, auth := range map[string]any{
		"nothing": nil, "no name": guest(" \u200b "), "a long name": guest(strings.Repeat("名", maxName+1)),
		"no secret": map[string]string{"name": "Ada"}, "another type": map[string]any{"name": 1},
	} {
		_, err := srv.TryConnect("/", auth, nil)
		var refused *socketio.ConnectError
		if !errors.As(err, &refused) || refused.Message != "bad_name" {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, _, _ := arrive(t, srv, guest(strings.Repeat("名", maxName), "lobby"))
	for _, try := range []struct {
		event, code string
		in          any
	}{
		{"say", "bad_text", line{"lobby", "1", " "}},
		{"say", "bad_text", line{"lobby", "1", strings.Repeat("字", maxText+1)}},
		{"say", "bad_id", line{"lobby", "", "text"}},
		{"say", "bad_request", "text"},
		{"join", "bad_room", roomName{"\t"}},
		{"join", "bad_room", roomName{strings.Repeat("r", maxRoom+1)}},
		{"rename", "bad_name", map[string]string{"name": ""}},
	} {
		if code := refusal(c.Call(try.event, try.in)); code != try.code {
			t.Errorf("%s %v: %q, want %q", try.event, try.in, code, try.code)
		}
	}
	for i := range maxRooms {
		code := refusal(c.Call("join", roomName{fmt.Sprint("room ", i)}))
		if want := map[bool]string{true: "too_many_rooms"}[i == maxRooms-1]; code != want {
			t.Errorf("room %d: %q", i+2, code)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	srv, c := start(t)
	for i := range keptMessages + 5 {
		m := Message{ID: fmt.Sprint(i), Room: "lobby", At: c.nextTime()}
		_ = srv.To(roomPrefix+"lobby").Record().Emit("message", m)
	}
	ada, _, _ := arrive(t, srv, guest("Ada"))
	var r room
	bind(t, ada.Call("join", roomName{"lobby"}), 0, &r)
	if len(r.Messages) != keptMessages || r.Messages[0].ID != "5" {
		t.Fatalf("%d kept: %+v", len(r.Messages), r.Messages)
	}
	for i := 1; i < len(r.Messages); i++ {
		if r.Messages[i].At <= r.Messages[i-1].At {
			t.Fatal("two messages at one time")
		}
	}
}

func TestThePageAndTheClientComeFromThisServerAlone(t *testing.T) {
	base := serve(t, options())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, kind := range map[string]string{
		"/": "text/html", "/chat.js": "text/javascript", "/chat.css": "text/css", "/icon.svg": "image/svg+xml",
		"/socket.io/socket.io.esm.min.js": "application/javascript",
	} {
		resp, err := client.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), kind) {
			t.Errorf("%s: %s, %s", path, resp.Status, resp.Header.Get("Content-Type"))
		}
		if policy := resp.Header.Get("Content-Security-Policy"); strings.HasPrefix(kind, "text/html") && !strings.HasPrefix(policy, "default-src 'none'") {
			t.Errorf("policy: %q", policy)
		}
	}
}
