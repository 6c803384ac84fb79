package protocol

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"posthouse/internal/testenv"
)

// unseen are the behaviours of docs/conformance.md that a client cannot see, and what
// shows them for this module.
var unseen = map[int]string{
	16: "events and fields of Node's API, nothing on the wire; ours: socketio/engineio",
	25: "needs a client of HTTP/3; ours: socketio/engineio/webtransport",
	40: "needs several processes and Redis; ours: adapter, internal/interop/cluster",
}

// peers are the servers that TestBehaviours_Peers puts beside ours and Node's.
var peers []peer

type peer struct{ name, command string }

func init() {
	flag.Func("peer", "`NAME=COMMAND`: a server for TestBehaviours_Peers; the command prints the URLs of its fixtures as testdata/twin.js does (repeatable)", func(s string) error {
		name, command, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("%q is not NAME=COMMAND", s)
		}
		peers = append(peers, peer{name, command})
		return nil
	})
}

// behaviours reads the forty from docs/conformance.md; the first is at index 1.
func behaviours(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(string(page), "\n## The 40 behaviours")
	titles := []string{""}
	for _, m := range regexp.MustCompile(`(?m)^(\d+)\. (.*)$`).FindAllStringSubmatch(list, -1) {
		if m[1] != strconv.Itoa(len(titles)) {
			t.Fatalf("behaviour %s after %d", m[1], len(titles)-1)
		}
		titles = append(titles, m[2])
	}
	if !ok || len(titles) != 41 {
		t.Fatalf("%d behaviours in docs/conformance.md", len(titles)-1)
	}
	return titles
}

// behaviourOf is the number at the beginning of a check's name, or 0.
func behaviourOf(check string) int {
	number, _, _ := strings.Cut(check, " ")
	n, err := strconv.Atoi(number)
	if err != nil || len(number) != 2 {
		return 0
	}
	return n
}

// TestBehaviours_EachHasAChecker demands of each of the forty behaviours that a check
// of the scripts is about it, or that the table says why there can be none. The
// checks themselves run in TestProtocol.
func TestBehaviours_EachHasAChecker(t *testing.T) {
	modules := filepath.Join(testenv.NodeDir(t), "node_modules")
	nowhere := urls{}
	for _, name := range []string{"eio4", "eio3", "sio5", "sioclient", "eioclient", "hooks", "deflate", "jsonp", "initial", "noupgrade", "sio", "siov2", "recovery"} {
		nowhere[name] = "http://127.0.0.1:1"
	}
	checked := map[int]int{}
	for _, script := range scripts {
		for name := range runScript(t, modules, script, nowhere, nil, "POSTHOUSE_LIST=") {
			checked[behaviourOf(name)]++
		}
	}
	for n, title := range behaviours(t) {
		if n == 0 {
			continue
		}
		if _, hidden := unseen[n]; (checked[n] > 0) == hidden {
			t.Errorf("behaviour %d (%s): %d checks, %q", n, title, checked[n], unseen[n])
		}
	}
}

// grade is how well a server passed a check.
type grade int

const (
	missing   grade = iota // an assertion of the check does not hold
	otherForm              // all hold, and something else was seen that is neither Node's nor ours
	asNode
)

// board is what each server showed in each check.
type board struct {
	servers []string
	at      map[string]urls
	seen    map[string]map[string]outcome // by server and "script: check"
	grades  map[string]map[string]grade
}

// TestBehaviours_Peers runs every check of the scripts against ours, Node's and the
// servers of -peer, and prints which of the forty behaviours each of them has:
//
//	make conformance-peers
//
// A server has a behaviour when the assertions of all its checks hold in one of four
// rounds: a busy machine delays clients. That something else was seen than on Node,
// such as the code of a close, is reported and counts as having it. Ours must show
// what Node shows, as in TestProtocol; only that fails the test.
func TestBehaviours_Peers(t *testing.T) {
	if peers == nil {
		t.Skip("no -peer (make conformance-peers)")
	}
	modules := filepath.Join(testenv.NodeDir(t), "node_modules")
	ours, _ := startConformance(t)
	maps.Copy(ours, startExtras(t))
	b := &board{
		servers: []string{"ours", "node"},
		at:      map[string]urls{"ours": ours, "node": startTwin(t, modules)},
		seen:    map[string]map[string]outcome{},
		grades:  map[string]map[string]grade{},
	}
	for _, p := range peers {
		b.servers = append(b.servers, p.name)
		b.at[p.name] = startPeer(t, modules, "sh", "-c", "exec "+p.command)
	}
	for _, server := range b.servers {
		b.seen[server], b.grades[server] = map[string]outcome{}, map[string]grade{}
	}
	for _, script := range scripts {
		b.run(t, modules, script)
	}
	fmt.Print(b.report(behaviours(t)))
	for check, g := range b.grades["ours"] {
		if g != asNode {
			t.Errorf("ours: %s: %s", check, b.seen["ours"][check])
		}
	}
}

// run runs a script against all servers, and again what one of them did not pass.
func (b *board) run(t *testing.T, modules, script string) {
	t.Helper()
	var names []string // nil: all
	for range rounds {
		results := make([]map[string]outcome, len(b.servers))
		var all sync.WaitGroup
		for i, server := range b.servers {
			all.Go(func() { results[i] = runScript(t, modules, script, b.at[server], names, "POSTHOUSE_PEERS=") })
		}
		all.Wait()
		if t.Failed() {
			return
		}
		again := map[string]bool{}
		for i, server := range b.servers {
			for name, got := range results[i] {
				check := script + ": " + name
				g := judge(server, check, got, results[0][name], results[1][name])
				if _, seen := b.seen[server][check]; !seen || g > b.grades[server][check] {
					b.seen[server][check], b.grades[server][check] = got, g
				}
				if b.grades[server][check] != asNode {
					again[name] = true
				}
			}
		}
		if len(again) == 0 {
			return
		}
		names = slices.Sorted(maps.Keys(again))
	}
}

// judge grades what a server showed by what ours and Node's showed in that round.
func judge(server, check string, got, ours, node outcome) grade {
	same := node.Error == nil && bytes.Equal(got.Seen, node.Seen)
	switch {
	case got.Error != nil:
		return missing
	case server == "ours":
		_, wanted := differences[check]
		same = same || wanted || node.Error != nil
	default:
		same = same || ours.Error == nil && bytes.Equal(got.Seen, ours.Seen)
	}
	if same {
		return asNode
	}
	return otherForm
}

// tally counts the checks of a server that fits chooses, by grade.
func (b *board) tally(server string, fits func(script, name string) bool) (count [asNode + 1]int) {
	for check, g := range b.grades[server] {
		if script, name, _ := strings.Cut(check, ": "); fits(script, name) {
			count[g]++
		}
	}
	return count
}

// report is the table of the scripts, that of the behaviours, and what each server
// showed instead.
func (b *board) report(titles []string) string {
	var out strings.Builder
	table := func(title string, cell func(server string) string) {
		fmt.Fprintf(&out, "| %s |", title)
		for _, server := range b.servers {
			fmt.Fprintf(&out, " %s |", cell(server))
		}
		out.WriteByte('\n')
	}
	table("checks passed, as on Node", func(server string) string { return server })
	table("---", func(string) string { return "---:" })
	for _, script := range scripts {
		table("`"+script+".js`", func(server string) string {
			n := b.tally(server, func(of, _ string) bool { return of == script })
			return fmt.Sprintf("%d, %d of %d", n[asNode]+n[otherForm], n[asNode], n[asNode]+n[otherForm]+n[missing])
		})
	}
	table("behaviours", func(server string) string {
		shown, same := 0, 0
		for number := 1; number < len(titles); number++ {
			n := b.tally(server, func(_, name string) bool { return behaviourOf(name) == number })
			if n[missing] == 0 && unseen[number] == "" {
				shown++
				if n[otherForm] == 0 {
					same++
				}
			}
		}
		return fmt.Sprintf("%d, %d of %d", shown, same, len(titles)-1-len(unseen))
	})
	for _, number := range slices.Sorted(maps.Keys(unseen)) {
		fmt.Fprintf(&out, "not judged: %d (%s)\n", number, unseen[number])
	}
	for _, server := range b.servers {
		for g, what := range []string{"does not show", "shows in another form"} {
			fmt.Fprintf(&out, "\n%s %s:\n", server, what)
			for _, check := range b.sorted(server, grade(g)) {
				fmt.Fprintf(&out, "  %s\n    seen: %s\n    node: %s\n", check, oneLine(b.seen[server][check]), oneLine(b.seen["node"][check]))
			}
		}
	}
	return out.String()
}

// sorted lists a server's checks of a grade, those about one of the forty first.
func (b *board) sorted(server string, g grade) (checks []string) {
	for check, got := range b.grades[server] {
		if got == g {
			checks = append(checks, check)
		}
	}
	place := func(check string) int {
		_, name, _ := strings.Cut(check, ": ")
		if n := behaviourOf(name); n > 0 {
			return n
		}
		return 100
	}
	slices.SortFunc(checks, func(x, y string) int { return cmp.Or(place(x)-place(y), strings.Compare(x, y)) })
	return checks
}

// oneLine shortens an outcome to a line.
func oneLine(o outcome) string {
	s := strings.Join(strings.Fields(o.String()), " ")
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return s
}
