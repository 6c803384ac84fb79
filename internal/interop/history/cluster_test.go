package history_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"posthouse/internal/interop/history"
	"posthouse/internal/testenv"
)

// node is one life of a node: a process, and its links to the Redis servers. The node that
// takes its place has another name.
type node struct {
	name    string
	listen  string
	control string
	process *testenv.Process
	links   []*link
	client  *http.Client
	started func(history.Phase, func(*history.Entry)) // ends the fault of its start
}

// do has the node perform something; an error says that nothing is known of it.
func (n *node) do(d do) (answer done, err error) {
	body, err := json.Marshal(d)
	if err != nil {
		return answer, err
	}
	resp, err := n.client.Post("http://"+n.control, "application/json", bytes.NewReader(body))
	if err != nil {
		return answer, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return answer, fmt.Errorf("status %d", resp.StatusCode)
	}
	return answer, json.NewDecoder(resp.Body).Decode(&answer)
}

// tell is do that reports whether all went well.
func (n *node) tell(d do) bool {
	answer, err := n.do(d)
	return err == nil && answer.Phase == history.OK
}

// run is a cluster and what happens to it.
type run struct {
	t     testing.TB
	setup setup
	log   *recorder
	redis []string

	mu     sync.Mutex // guards what follows
	random *rand.Rand
	nodes  []*node // by slot
	lives  int
}

func (r *run) newRandom() *rand.Rand {
	r.mu.Lock()
	defer r.mu.Unlock()
	return rand.New(rand.NewPCG(r.random.Uint64(), r.random.Uint64()))
}

func (r *run) anyNode(random *rand.Rand) *node {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nodes[random.IntN(len(r.nodes))]
}

func (r *run) node(slot int) *node {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nodes[slot]
}

func (r *run) living() []*node {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*node(nil), r.nodes...)
}

func (r *run) anyRoom(random *rand.Rand) string {
	return "room" + strconv.Itoa(random.IntN(rooms))
}

const rooms = 3

// start puts a new node into a slot. It is faulty until the others know it.
func (r *run) start(slot int) *node {
	r.mu.Lock()
	r.lives++
	n := &node{name: fmt.Sprintf("node%d.%d", slot, r.lives), client: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{}}}
	r.mu.Unlock()
	n.listen = net.JoinHostPort("127.0.0.1", strconv.Itoa(testenv.FreePort(r.t)))
	n.control = net.JoinHostPort("127.0.0.1", strconv.Itoa(testenv.FreePort(r.t)))
	config := nodeConfig{Name: n.name, Adapter: r.setup.adapter, Recovery: r.setup.recovery, Redis: r.redis, Cluster: r.setup.cluster,
		Through: map[string]string{}, Listen: n.listen, Control: n.control}
	for _, addr := range r.redis {
		l := newLink(r.t, addr)
		n.links = append(n.links, l)
		config.Through[addr] = l.addr
	}
	text, err := json.Marshal(config)
	if err != nil {
		r.t.Fatal(err)
	}
	n.started = r.log.invoke(history.Entry{Process: "nemesis", Action: history.Fault, Node: n.name, Reason: history.Starting})
	program, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	n.process = testenv.Start(r.t, []string{nodeVariable + "=" + string(text)}, program)
	n.process.Ready(r.t, "http://"+n.control)
	r.mu.Lock()
	if slot < len(r.nodes) {
		r.nodes[slot] = n
	} else {
		r.nodes = append(r.nodes, n)
	}
	r.mu.Unlock()
	return n
}

// together waits until all nodes know each other, which ends a fault.
func (r *run) together(end func(history.Phase, func(*history.Entry))) {
	deadline := time.Now().Add(healLimit)
	for time.Now().Before(deadline) {
		whole := true
		living := r.living()
		for _, from := range living {
			answer, err := from.do(do{Action: history.Side, Limit: time.Second})
			if err != nil || answer.Phase != history.OK || len(answer.Names) != len(living)-1 {
				whole = false
				break
			}
		}
		if whole {
			if r.setup.cluster && r.setup.adapter == "sharded" {
				// They know each other by one server of the cluster, and the rooms are on all: the
				// subscription of another is made at the end of its pause, which takes two seconds at most.
				pause := time.NewTimer(2 * time.Second)
				<-pause.C
			}
			end(history.OK, nil)
			return
		}
	}
	end(history.Fail, func(e *history.Entry) { e.Reason = "the cluster did not come together" })
}

// healLimit is how long the nodes may take to find each other after a fault.
const healLimit = 40 * time.Second

func (r *run) kill(slot int) {
	n := r.node(slot)
	r.log.invoke(history.Entry{Process: "nemesis", Action: history.Fault, Node: n.name, Reason: history.Killed})
	n.process.Kill()
}
