package workers_test

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/internal/workers"
)

type task func()

func (t task) Run() { t() }

// count returns how many workers there are. The runtime's own number has goroutines
// in it that are about to be gone.
func count() int {
	buf := make([]byte, 4<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "workers.(*Pool).work(")
}

func TestATaskThatBlocksHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p workers.Pool
		release := make(chan struct{})
		for range 3 {
			p.Go(task(func() { <-release }))
		}
		done := make(chan struct{})
		p.Go(task(func() { close(done) }))
		<-done
		close(release)
		p.Close()
	})
}

func TestWorkersAreUsedAgainAndLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p workers.Pool
		burst := func(n int) {
			var wg sync.WaitGroup
			begin := make(chan struct{})
			wg.Add(n)
			for range n {
				p.Go(task(func() { <-begin; wg.Done() }))
			}
			close(begin)
			wg.Wait()
			synctest.Wait()
		}
		burst(20)
		if n := count(); n != 20 {
			t.Fatalf("%d workers stay, not 20", n)
		}
		burst(20)
		if n := count(); n != 20 {
			t.Fatalf("%d workers after a second burst, not 20", n)
		}
		// While three are enough, the others go.
		for range 30 {
			burst(3)
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if n := count(); n != 3 {
			t.Errorf("%d workers stay, not 3", n)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if n := count(); n != 0 {
			t.Errorf("%d workers stay though there is nothing to do", n)
		}
	})
}

func TestABurstLeavesABoundedNumberOfWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p workers.Pool
		release := make(chan struct{})
		for range 1000 {
			p.Go(task(func() { <-release }))
		}
		close(release)
		synctest.Wait()
		if n := count(); n != 256 {
			t.Errorf("%d workers stay", n)
		}
		p.Close()
		synctest.Wait()
		if n := count(); n != 0 {
			t.Errorf("%d workers stay after Close", n)
		}
		ran := make(chan struct{})
		p.Go(task(func() { close(ran) })) // still works
		<-ran
	})
}

// A handler may end its goroutine; that is no worker any more.
func TestATaskThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p workers.Pool
		p.Go(task(func() {}))
		synctest.Wait() // it rests
		p.Go(task(runtime.Goexit))
		synctest.Wait()
		if n := count(); n != 0 {
			t.Errorf("%d workers stay", n)
		}
		ran := make(chan struct{})
		p.Go(task(func() { close(ran) }))
		<-ran
		p.Close()
	})
}

// No task is lost, and no worker left, whatever Go, Close and the trimming do at
// the same time.
func TestTasksAmongTheEnd(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			var p workers.Pool
			var ran atomic.Int32
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					for j := range 20 {
						p.Go(task(func() { ran.Add(1) }))
						if (i+j)%8 == 0 {
							time.Sleep(time.Second) // when trim looks
						}
					}
				})
			}
			time.Sleep(2 * time.Second)
			p.Close()
			all.Wait()
			synctest.Wait()
			if n := ran.Load(); n != 8*20 {
				t.Errorf("%d tasks were run", n)
			}
			if n := count(); n != 0 {
				t.Errorf("%d workers stay", n)
			}
		})
	}
}

type counter struct{ wg sync.WaitGroup }

//go:noinline
func (c *counter) Run() {
	var room [3000]byte
	runtime.KeepAlive(&room)
	c.wg.Done()
}

// BenchmarkGo compares with a new goroutine, whose stack must grow.
func BenchmarkGo(b *testing.B) {
	for name, start := range map[string]func(p *workers.Pool, c *counter){
		"worker":    func(p *workers.Pool, c *counter) { p.Go(c) },
		"goroutine": func(_ *workers.Pool, c *counter) { go c.Run() },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var p workers.Pool
			defer p.Close()
			var c counter
			for b.Loop() {
				c.wg.Add(1)
				start(&p, &c)
				c.wg.Wait()
			}
		})
	}
}
