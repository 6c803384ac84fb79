package workers_test

import (
	"sync"
	"testing"

	"posthouse/socketio/internal/workers"
)

// BenchmarkGo_Cores starts tasks on all cores at once: they share the pool's list.
func BenchmarkGo_Cores(b *testing.B) {
	var p workers.Pool
	defer p.Close()
	b.RunParallel(func(pb *testing.PB) {
		var done sync.WaitGroup
		t := task(done.Done)
		for pb.Next() {
			done.Add(1)
			p.Go(t)
			done.Wait()
		}
	})
}
