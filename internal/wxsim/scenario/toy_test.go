package scenario

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"posthouse/internal/wxsim"
)

// sin is what a toy gateway does wrong.
type sin string

const (
	honest       sin = ""
	loses        sin = "loses every fifth token"
	doubles      sin = "mints another token for each push"
	misdelivers  sin = "gives tokens to the tab that asked last"
	neverLeaves  sin = "does not disconnect after delivery"
	answersSlow  sin = "answers pushes with 500"
	ignoresFirst sin = "lets the second person win"
	hangsUp      sin = "hangs up on every fifth tab after its code"
	dawdles      sin = "answers some pushes after more than a second"
)

// toy is the smallest gateway that can be told to misbehave: one process, plain
// mode, tokens without a valid signature.
type toy struct {
	t      *testing.T
	sin    sin
	sim    *wxsim.Sim
	server *httptest.Server
	client *http.Client

	mu      sync.Mutex
	tickets map[string]*toyTicket
	tabs    []*toyTab
	minted  int
	access  string
}

type toyTicket struct {
	ticket, scene, resume, openid, token string
	ended                                string // how, for who resumes
	over                                 bool
	tab                                  *toyTab
}

type toyTab struct {
	conn   *websocket.Conn
	mu     sync.Mutex
	ticket *toyTicket
}

func newToy(t *testing.T, s sin) *toy {
	t.Helper()
	a := wxsim.DevAccount()
	a.Mode = wxsim.Plain
	sim, err := wxsim.New(&wxsim.Options{Accounts: []wxsim.Account{a}, Seed: 1, MarkFail: -1, RetryPause: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	g := &toy{t: t, sin: s, sim: sim, tickets: map[string]*toyTicket{}, client: &http.Client{Transport: &http.Transport{}}}
	mux := http.NewServeMux()
	mux.Handle("/sim/", sim.Handler())
	mux.HandleFunc("/socket.io/", g.socket)
	mux.HandleFunc("/hook", g.hook)
	mux.HandleFunc("/.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) })
	g.server = httptest.NewServer(mux)
	if err := sim.SetCallbacks(g.server.URL + "/hook"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sim.Close()
		g.client.CloseIdleConnections()
		g.server.Close()
	})
	return g
}

// emit writes an event; a lost connection is the browser's business.
func (x *toyTab) emit(packet string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = x.conn.Write(ctx, websocket.MessageText, []byte(packet))
}

func (g *toy) socket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	x := &toyTab{conn: conn}
	x.emit(`0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`)
	for {
		_, data, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		packet := string(data)
		switch {
		case strings.HasPrefix(packet, "40/login"):
			x.emit(`40/login,{"sid":"y"}`)
		case strings.HasPrefix(packet, "43/login,"):
			if g.sin != neverLeaves {
				x.emit("41/login,")
			}
			g.mu.Lock()
			if x.ticket != nil {
				x.ticket.over = true
			}
			g.mu.Unlock()
		case strings.HasPrefix(packet, "42/login,"):
			g.answer(x, packet[len("42/login,"):])
		}
	}
}

func (g *toy) answer(x *toyTab, text string) {
	id, rest := cutDigits(text)
	var args []json.RawMessage
	var name string
	if json.Unmarshal([]byte(rest), &args) != nil || json.Unmarshal(args[0], &name) != nil {
		return
	}
	var in struct {
		Refresh        bool
		Ticket, Resume string
	}
	if len(args) > 1 {
		_ = json.Unmarshal(args[1], &in)
	}
	reply := func(v any) {
		data, _ := json.Marshal([]any{v})
		x.emit("43/login," + id + string(data))
	}
	switch name {
	case "qrcode":
		q := g.newTicket(x)
		reply(map[string]any{"ticket": q.ticket, "url": "u", "expiresIn": 300, "resume": q.resume})
		if g.sin == hangsUp && strings.HasSuffix(q.scene, "5") {
			_ = x.conn.CloseNow()
		}
	case "cancel":
		g.mu.Lock()
		x.ticket.over, x.ticket.ended = true, "cancelled"
		g.mu.Unlock()
		reply(map[string]any{"state": "cancelled"})
	case "resume":
		g.mu.Lock()
		q := g.tickets[in.Ticket]
		q.tab, x.ticket = x, q
		token, state := q.token, cmp.Or(q.ended, "waiting")
		g.mu.Unlock()
		reply(map[string]any{"state": state, "expiresIn": 100})
		if token != "" {
			x.emit(`42/login,1["token",` + token + `]`)
		}
	}
}

// newTicket asks the simulator for a code and binds it to the tab.
func (g *toy) newTicket(x *toyTab) *toyTicket {
	a := wxsim.DevAccount()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.access == "" {
		g.access = g.api("stable_token", map[string]any{"grant_type": "client_credential", "appid": a.AppID, "secret": a.Secret})["access_token"].(string)
	}
	g.minted++
	scene := fmt.Sprintf("toy%d", g.minted)
	out := g.api("qrcode/create?access_token="+g.access, map[string]any{
		"expire_seconds": 300, "action_name": "QR_STR_SCENE", "action_info": map[string]any{"scene": map[string]any{"scene_str": scene}},
	})
	q := &toyTicket{ticket: out["ticket"].(string), scene: scene, resume: "r", tab: x}
	if x.ticket != nil {
		x.ticket.over, x.ticket.ended = true, "replaced"
	}
	x.ticket = q
	g.tickets[q.ticket] = q
	g.tabs = append(g.tabs, x)
	return q
}

func (g *toy) api(path string, body any) map[string]any {
	data, _ := json.Marshal(body)
	resp, err := g.client.Post(g.server.URL+"/sim/cgi-bin/"+path, "application/json", bytes.NewReader(data))
	if err != nil {
		g.t.Error(err)
		return nil
	}
	defer resp.Body.Close()
	var out map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&out)
	return out
}

// hook is the webhook: first claim wins.
func (g *toy) hook(w http.ResponseWriter, r *http.Request) {
	var m struct {
		FromUserName, Event, EventKey, Ticket string
	}
	switch g.sin {
	case answersSlow:
		w.WriteHeader(http.StatusInternalServerError)
	case dawdles:
		defer func() { <-time.After(1100 * time.Millisecond) }()
	}
	if xml.NewDecoder(r.Body).Decode(&m) != nil {
		return
	}
	defer func() { _, _ = io.WriteString(w, "success") }()
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.tickets[m.Ticket]
	if q == nil || q.over && q.openid == "" {
		return
	}
	if q.openid != "" && g.sin != doubles && (g.sin != ignoresFirst || q.openid == m.FromUserName) {
		return
	}
	q.openid = m.FromUserName
	g.minted++
	if g.sin == loses && g.minted%5 == 0 {
		return
	}
	payload := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"jti":"t%d","openid":%q}`, g.minted, m.FromUserName))
	q.token = `"e30.` + payload + `.x"`
	to := q.tab
	if g.sin == misdelivers {
		to = g.tabs[len(g.tabs)-1]
	}
	to.emit(`42/login,1["token",` + q.token + `]`)
}

func cutDigits(text string) (digits, rest string) {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return text[:n], text[n:]
}
