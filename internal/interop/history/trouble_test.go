package history_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"posthouse/internal/interop/history"
	"posthouse/internal/testenv"
)

// sender speaks on the node of a slot, one operation after the other.
type sender struct {
	run    *run
	slot   int
	random *rand.Rand
	tag    string
	seq    map[string]int // by sender and room
}

// send emits until stop.
func (x *sender) send(stop <-chan struct{}) {
	x.work(stop, 8*time.Millisecond, func() { x.emit(x.run.anyRoom(x.random)) })
}

// ask does what waits for answers, beside send: a half open client lets it wait long.
func (x *sender) ask(stop <-chan struct{}) {
	x.work(stop, 100*time.Millisecond, func() {
		room := x.run.anyRoom(x.random)
		switch n := x.random.IntN(100); {
		case n < 30:
			x.operate(do{Action: history.Call, Room: room, Limit: answerLimit})
		case n < 65:
			x.operate(do{Action: history.Fetch, Room: room, Limit: answerLimit})
		case n < 97:
			x.operate(do{Action: history.Side, Limit: answerLimit})
		default:
			x.operate(do{Action: history.Kick, Room: room, Limit: answerLimit})
		}
	})
}

// answerLimit is how long answers may take; a busy machine needs some of it.
const answerLimit = 6 * time.Second

func (x *sender) work(stop <-chan struct{}, every time.Duration, once func()) {
	pace := time.NewTicker(every)
	defer pace.Stop()
	for {
		select {
		case <-stop:
			return
		case <-pace.C:
			once()
		}
	}
}

func (x *sender) emit(room string) { x.operate(do{Action: history.Emit, Room: room}) }

func (x *sender) operate(d do) {
	n := x.run.node(x.slot)
	e := history.Entry{Process: fmt.Sprint("sender ", x.slot), Action: d.Action, Node: n.name, Room: d.Room, Limit: d.Limit}
	if d.Action == history.Emit || d.Action == history.Call {
		d.Sender = n.name + "/" + string(d.Action) + x.tag
		if x.seq == nil {
			x.seq = map[string]int{}
		}
		x.seq[d.Sender+d.Room]++
		d.Seq = x.seq[d.Sender+d.Room]
		e.Sender, e.Seq = d.Sender, d.Seq
	}
	end := x.run.log.invoke(e)
	answer, err := n.do(d)
	if err != nil {
		return // the history ends without a word of it
	}
	end(answer.Phase, func(e *history.Entry) { e.Names, e.Reason = answer.Names, answer.Reason })
}

// trouble makes faults, one after the other and with quiet between them, until the time is over.
func (r *run) trouble(random *rand.Rand, until time.Time) {
	for time.Now().Before(until) {
		r.pause(random, 500*time.Millisecond, 2*time.Second)
		slot := random.IntN(slots)
		n := r.node(slot)
		what := random.IntN(4)
		if what == 0 {
			r.kill(slot)
			r.pause(random, 0, time.Second)
			r.together(r.start(slot).started)
			continue
		}
		end := r.log.invoke(history.Entry{Process: "nemesis", Action: history.Fault, Node: n.name, Reason: history.CutOff})
		for _, l := range n.links {
			switch what {
			case 1:
				l.cut()
			case 2:
				l.shut()
			case 3:
				l.hold()
			}
		}
		if what > 1 {
			r.pause(random, 200*time.Millisecond, 4*time.Second)
		}
		for _, l := range n.links {
			l.open()
			l.release()
		}
		r.together(end)
	}
}

// pause lets the cluster go on for a while.
func (r *run) pause(random *rand.Rand, least, most time.Duration) {
	timer := time.NewTimer(least + time.Duration(random.Int64N(int64(most-least))))
	defer timer.Stop()
	<-timer.C
}

// startRedis starts one server, or a Redis Cluster of three, and returns the addresses.
func startRedis(t testing.TB, cluster bool) (addrs []string) {
	t.Helper()
	if cluster {
		return testenv.RedisCluster(t, "--cluster-node-timeout", "5000")
	}
	addr, _ := testenv.Redis(t)
	return []string{addr}
}
