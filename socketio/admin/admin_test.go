package admin_test

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/admin"
	"posthouse/socketio/sockettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// hash is that of "changeit", as cheap as bcrypt allows.
var hash = func() string {
	h, err := bcrypt.GenerateFromPassword([]byte("changeit"), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(h)
}()

// instrument starts a server with administrators; nil options let all in.
func instrument(t *testing.T, o *admin.Options) (*sockettest.Server, *admin.Admin) {
	t.Helper()
	v := admin.Options{NoAuth: true}
	if o != nil {
		v = *o
	}
	v.Logger = quiet
	srv := sockettest.NewServer(t, &socketio.Options{Logger: quiet})
	a, err := admin.Instrument(srv.Server, &v)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv, a
}

// page connects an administrator and waits for the list of sockets.
func page(t *testing.T, srv *sockettest.Server) (*sockettest.Client, []map[string]any) {
	t.Helper()
	c := srv.Connect("/admin", nil)
	c.Expect("config")
	var list []map[string]any
	bind(t, c.Expect("all_sockets"), 0, &list)
	return c, list
}

func bind(t *testing.T, m *sockettest.Message, i int, dst any) {
	t.Helper()
	if err := m.Args.Bind(i, dst); err != nil {
		t.Fatal(m.Name, err)
	}
}

// about waits for the next event of that name whose arguments contain all texts.
func about(c *sockettest.Client, event string, texts ...string) *sockettest.Message {
	for {
		m := c.Expect(event)
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(m.Args.String(), text) }) {
			return m
		}
	}
}

func TestInstrument_WrongOptions_AreRefused(t *testing.T) {
	for name, o := range map[string]*admin.Options{
		"nothing":            nil,
		"no auth":            {},
		"not a hash":         {PasswordHash: "changeit"},
		"both":               {PasswordHash: hash, NoAuth: true},
		"no auth, live":      {NoAuth: true, Mode: admin.Production},
		"the main namespace": {NoAuth: true, Namespace: "/"},
		"unknown mode":       {NoAuth: true, Mode: "staging"},
	} {
		if _, err := admin.Instrument(socketio.NewServer(nil), o); err == nil || !strings.HasPrefix(err.Error(), "socketio/admin: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInstrument_Features_FollowModeAndReadOnly(t *testing.T) {
	commands := "EMIT JOIN LEAVE DISCONNECT MJOIN MLEAVE MDISCONNECT "
	for want, o := range map[string]*admin.Options{
		commands + "AGGREGATED_EVENTS ALL_EVENTS": {NoAuth: true},
		"AGGREGATED_EVENTS ALL_EVENTS":            {NoAuth: true, ReadOnly: true},
		commands + "AGGREGATED_EVENTS":            {PasswordHash: hash, Mode: admin.Production},
		"AGGREGATED_EVENTS":                       {PasswordHash: hash, Mode: admin.Production, ReadOnly: true},
	} {
		srv, _ := instrument(t, o)
		var got struct{ SupportedFeatures []string }
		bind(t, srv.Connect("/admin", login("admin", "changeit")).Expect("config"), 0, &got)
		if text := strings.Join(got.SupportedFeatures, " "); text != want {
			t.Errorf("features %q, want %q", text, want)
		}
	}
}

func TestInstrument_ManySockets_PageGetsStatisticsOnly(t *testing.T) {
	srv, _ := instrument(t, &admin.Options{NoAuth: true, MaxSockets: 1})
	c, _ := page(t, srv)
	srv.Connect("/", nil)
	about(c, "socket_connected", `"nsp":"/"`)
	srv.Connect("/", nil)
	var got struct{ SupportedFeatures []string }
	bind(t, srv.Connect("/admin", nil).Expect("config"), 0, &got)
	if slices.Contains(got.SupportedFeatures, "ALL_EVENTS") {
		t.Errorf("features %q with two sockets of one", got.SupportedFeatures)
	}
}

func TestServerStats_Server_IsDescribed(t *testing.T) {
	srv, _ := instrument(t, &admin.Options{NoAuth: true, ServerID: "gw1"})
	srv.Of("/chat")
	c := srv.Connect("/admin", nil)
	srv.Connect("/", nil)
	var got struct {
		ServerID, Hostname  string
		PID                 int
		Uptime              float64
		ClientsCount        int
		PollingClientsCount int
		AggregatedEvents    []any
		Namespaces          []struct {
			Name         string
			SocketsCount int
		}
	}
	testenv.Until(t, sockettest.Wait, "both clients", func() bool {
		bind(t, c.Expect("server_stats"), 0, &got)
		return got.ClientsCount == 2
	})
	if got.ServerID != "gw1" || got.Hostname == "" || got.PID == 0 || got.Uptime <= 0 || got.PollingClientsCount != 0 || got.AggregatedEvents == nil {
		t.Errorf("stats %+v", got)
	}
	if n := got.Namespaces; len(n) < 3 || n[0].Name != "/" || n[0].SocketsCount != 1 || n[1].Name != "/admin" || n[1].SocketsCount != 1 || n[2].Name != "/chat" {
		t.Errorf("namespaces %+v", n)
	}
}

func TestAllSockets_ClientsAndAdministrators_AreListed(t *testing.T) {
	srv, _ := instrument(t, nil)
	srv.OnConnection(func(s *socketio.Socket) {
		socketio.NewKey[string]("username").Set(s, "ada")
		_ = s.Emit("ready")
	})
	client := srv.Connect("/", map[string]string{"token": "secret-token"})
	client.Expect("ready")
	c, list := page(t, srv)
	if len(list) != 2 {
		t.Fatalf("sockets %v", list)
	}
	i := slices.IndexFunc(list, func(s map[string]any) bool { return s["id"] == client.ID })
	if i < 0 || list[1-i]["id"] != c.ID || list[1-i]["nsp"] != "/admin" {
		t.Fatalf("sockets %v", list)
	}
	got := list[i]
	handshake := got["handshake"].(map[string]any)
	if got["nsp"] != "/" || len(got["clientId"].(string)) != 12 || got["transport"] != "websocket" || handshake["issued"].(float64) <= 0 {
		t.Errorf("socket %v", got)
	}
	if data, _ := json.Marshal(got["data"]); string(data) != `{"username":"ada"}` {
		t.Errorf("data %s", data)
	}
	if rooms, _ := json.Marshal(got["rooms"]); string(rooms) != `["`+client.ID+`"]` {
		t.Errorf("rooms %s", rooms)
	}
	if all, _ := json.Marshal(list); strings.Contains(string(all), "secret-token") || handshake["auth"] != nil {
		t.Errorf("auth is shown: %s", all)
	}
}

func TestLiveEvents_LifeOfASocket_IsToldOnceEach(t *testing.T) {
	srv, _ := instrument(t, nil)
	counter := socketio.NewKey[int]("count")
	srv.OnConnection(func(s *socketio.Socket) {
		s.On("join", func(e *socketio.Event) {
			_ = s.Join("room1")
			counter.Set(s, 1)
			counter.Set(s, 2)
			s.Leave("room1")
			_ = e.Ack()
		})
	})
	c, _ := page(t, srv)
	client := srv.Connect("/", nil)
	m := about(c, "room_joined", client.ID)
	if got := m.Args.JSON(0) + m.Args.JSON(1) + m.Args.JSON(2); got != `"/""`+client.ID+`""`+client.ID+`"` {
		t.Errorf("room_joined %s", m.Args)
	}
	m = about(c, "socket_connected", client.ID)
	var at time.Time
	bind(t, m, 1, &at)
	if since := time.Since(at); since < 0 || since > time.Minute || len(m.Args.JSON(1)) != len(`"2026-11-27T06:40:00.123Z"`) {
		t.Errorf("timestamp %s", m.Args.JSON(1))
	}
	client.Call("join")
	if got := about(c, "room_joined", client.ID).Args.JSON(1); got != `"room1"` {
		t.Errorf("joined %s", got)
	}
	for range 2 {
		if got := about(c, "socket_updated").Args.JSON(0); !strings.HasPrefix(got, `{"id":"`+client.ID+`","nsp":"/","data":{"count":`) {
			t.Errorf("updated %s", got)
		}
	}
	if got := about(c, "room_left", client.ID).Args.JSON(1); got != `"room1"` {
		t.Errorf("left %s", got)
	}
	client.Disconnect()
	if got := about(c, "socket_disconnected", client.ID).Args.JSON(2); got != `"client namespace disconnect"` {
		t.Errorf("reason %s", got)
	}
}

func TestLiveEvents_DynamicNamespace_IsSeen(t *testing.T) {
	srv, _ := instrument(t, nil)
	srv.OfPattern("/team/{id}")
	c, _ := page(t, srv)
	client := srv.Connect("/team/7", nil)
	about(c, "socket_connected", client.ID, `"nsp":"/team/7"`)
}

func TestLiveEvents_NamespaceMadeWhileNoAdministratorLooks_IsSeenLater(t *testing.T) {
	srv, _ := instrument(t, nil)
	srv.OfPattern("/team/{id}")
	client := srv.Connect("/team/7", nil)
	c, list := page(t, srv)
	if !slices.ContainsFunc(list, func(s map[string]any) bool { return s["id"] == client.ID }) {
		t.Errorf("sockets %v", list)
	}
	client.Disconnect()
	about(c, "socket_disconnected", client.ID)
}

func TestLiveEvents_Events_ShowArguments(t *testing.T) {
	srv, _ := instrument(t, &admin.Options{NoAuth: true, PrivateNamespaces: []string{"/login"}})
	for _, name := range []string{"/", "/login"} {
		srv.Of(name).OnConnection(func(s *socketio.Socket) {
			s.OnAny(func(e *socketio.Event) {
				_ = s.Emit("echo", e.Args())
				if e.WantsAck() {
					_ = e.Ack()
				}
			})
		})
	}
	c, _ := page(t, srv)
	long := strings.Repeat("é", 3000)
	for _, test := range []struct{ namespace, event, want string }{
		{"/", "say", `[1,"two","<3 bytes>",{"deep":["<1 bytes>"]}]`},
		{"/login", "say", `[]`},
		{"/", "auth", `[]`},
	} {
		client := srv.Connect(test.namespace, nil)
		client.Call(test.event, 1, "two", []byte{1, 2, 3}, map[string]any{"deep": []any{[]byte{4}}})
		m := about(c, "event_received", client.ID, `"`+test.event+`"`)
		want := strings.Replace(test.want, "[", `["`+test.event+`",`, 1)
		want = strings.Replace(want, ",]", "]", 1)
		if got := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(m.Args.JSON(2)); got != want {
			t.Errorf("received in %s: %s, want %s", test.namespace, got, want)
		}
		if len(m.Args.JSON(3)) != len(`"2026-11-27T06:40:00.123Z"`) {
			t.Errorf("timestamp %s", m.Args.JSON(3))
		}
		m = about(c, "event_sent", client.ID)
		if test.namespace == "/login" && m.Args.JSON(2) != `["echo"]` {
			t.Errorf("sent in /login: %s", m.Args)
		}
	}
	client := srv.Connect("/", nil)
	client.Call("say", long)
	if got := about(c, "event_received", client.ID).Args.JSON(2); len(got) > 400 || !strings.Contains(got, "… (6002 bytes)") {
		t.Errorf("a long argument is shown as %s", got)
	}
}

func TestLiveEvents_NoAdministrator_NamespacesAreNotWatched(t *testing.T) {
	srv, a := instrument(t, nil)
	srv.OnEvent("say", func(e *socketio.Event) { _ = e.Ack() })
	client := srv.Connect("/", nil)
	c, _ := page(t, srv)
	client.Call("say", 1)
	about(c, "event_received", client.ID)
	c.Disconnect()
	testenv.Until(t, sockettest.Wait, "no administrator", func() bool { return a.Stats().Administrators == 0 })
	testenv.Until(t, sockettest.Wait, "quiet", func() bool { // the end of the administrator itself is told
		before := a.Stats()
		for range 20 {
			client.Call("say", 1)
		}
		return a.Stats() == before
	})
}

func TestBudget_ManyEvents_AreDroppedAndSocketsAreNot(t *testing.T) {
	srv, a := instrument(t, &admin.Options{NoAuth: true, Budget: 50})
	srv.OnEvent("say", func(e *socketio.Event) { _ = e.Ack() })
	c, _ := page(t, srv)
	client := srv.Connect("/", nil)
	for range 200 {
		client.Call("say", 1)
	}
	if a.Stats().Dropped == 0 {
		t.Error("nothing was dropped")
	}
	client.Disconnect()
	about(c, "socket_disconnected", client.ID)
	var stats struct{ DroppedEvents uint64 }
	testenv.Until(t, sockettest.Wait, "the number of dropped messages", func() bool {
		bind(t, c.Expect("server_stats"), 0, &stats)
		return stats.DroppedEvents > 0
	})
}

func TestInstrument_NoAdministrator_SendingAllocatesAsBefore(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates")
	}
	srv := sockettest.NewServer(t, &socketio.Options{Logger: quiet})
	key := socketio.NewKey[int]("n")
	c := srv.Connect("/", nil)
	s := srv.Socket(c.ID)
	work := func() {
		_ = s.Volatile().Emit("x", "y")
		_ = srv.Volatile().Emit("x", "y")
		key.Set(s, 7)
		_ = s.Join("room")
		s.Leave("room")
	}
	before := testing.AllocsPerRun(200, work)
	a, err := admin.Instrument(srv.Server, &admin.Options{NoAuth: true, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if after := testing.AllocsPerRun(200, work); after > before+0.5 {
		t.Errorf("%v allocations, %v without administrators", after, before)
	}
}

func TestServerStats_AggregatedEvents_CountTheEngine(t *testing.T) {
	srv, _ := instrument(t, nil)
	srv.OnEvent("say", func(e *socketio.Event) { _ = e.Ack() })
	c := srv.Connect("/admin", nil)
	if _, err := srv.Dial(&sockettest.DialOptions{Transport: "polling"}); err != nil {
		t.Fatal(err)
	}
	client := srv.Connect("/", nil)
	client.Call("say", "hello")
	client.Close()
	counts := map[string]uint64{}
	polling := 0
	testenv.Until(t, sockettest.Wait, "the disconnection", func() bool {
		var stats struct {
			PollingClientsCount int
			AggregatedEvents    []struct {
				Timestamp     int64
				Type, SubType string
				Count         uint64
			}
		}
		bind(t, c.Expect("server_stats"), 0, &stats)
		seen := map[string]bool{}
		for _, e := range stats.AggregatedEvents {
			key := e.Type + ":" + e.SubType
			if seen[key] || e.Timestamp%1000 != 0 || time.Since(time.UnixMilli(e.Timestamp)) > time.Minute {
				t.Errorf("events %+v", stats.AggregatedEvents)
			}
			seen[key] = true
			counts[key] += e.Count
		}
		polling = stats.PollingClientsCount
		return counts["rawDisconnection:transport close"]+counts["rawDisconnection:transport error"] > 0
	})
	if polling != 1 || counts["rawConnection:"] != 3 {
		t.Errorf("%d poll, counts %v", polling, counts)
	}
	for _, key := range []string{"packetsIn:", "packetsOut:", "bytesIn:", "bytesOut:"} {
		if counts[key] < 3 {
			t.Errorf("%s %d", key, counts[key])
		}
	}
}
