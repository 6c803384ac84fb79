package tally

import (
	"sync"
	"testing"
)

func TestSet_ManyWriters_SumIsExact(t *testing.T) {
	t.Parallel()
	s := New()
	var writers sync.WaitGroup
	for i := range 16 {
		writers.Go(func() {
			for range 1000 {
				s.Add(uint8(i), 3, 2)
			}
		})
	}
	writers.Wait()
	if got := s.Sum(3); got != 32000 {
		t.Errorf("sum %d", got)
	}
	if got := s.Sum(2); got != 0 {
		t.Errorf("another value: %d", got)
	}
	if Key("") != 0 || Key("ab") != 'b' {
		t.Error("Key")
	}
}

func BenchmarkSet_Add(b *testing.B) {
	s := New()
	b.RunParallel(func(pb *testing.PB) {
		key := uint8(s.Add(0, 7, 1))
		for pb.Next() {
			s.Add(key, 3, 2)
		}
	})
}
