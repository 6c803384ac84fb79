package socketio

import "testing"

//go:noinline
func descend(depth int) int {
	var frame [96]byte
	if depth == 0 {
		return len(frame)
	}
	frame[depth%96] = 1
	return descend(depth-1) + int(frame[0])
}

// BenchmarkNewStack is what growStack is worth: a goroutine that calls as deep as
// an event with an answer does.
func BenchmarkNewStack(b *testing.B) {
	for name, grow := range map[string]func(){"grown": growStack, "as it comes": func() {}} {
		b.Run(name, func(b *testing.B) {
			done := make(chan int)
			for b.Loop() {
				go func() { grow(); done <- descend(14) }()
				<-done
			}
		})
	}
}
