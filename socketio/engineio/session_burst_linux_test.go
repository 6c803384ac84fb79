package engineio_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"posthouse/socketio/engineio"
)

// controlFD calls fn with the descriptor of a TCP connection.
func controlFD(tb testing.TB, conn net.Conn, fn func(fd int)) {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { fn(int(fd)) })
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// drainAll drops what has come, without copying it.
func drainAll(tb testing.TB, conns []net.Conn) {
	var none [1 << 20]byte
	for _, conn := range conns {
		controlFD(tb, conn, func(fd int) {
			for {
				if n, _, err := unix.Recvfrom(fd, none[:], unix.MSG_TRUNC|unix.MSG_DONTWAIT); n <= 0 || err != nil {
					return
				}
			}
		})
	}
}

// usedSoFar returns the processor time and the write calls of this process.
func usedSoFar(tb testing.TB) (cpu time.Duration, writes int) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		tb.Fatal(err)
	}
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		tb.Skip(err)
	}
	_, rest, _ := strings.Cut(string(text), "syscw: ")
	if _, err := fmt.Sscan(rest, &writes); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(ts.Nano()), writes
}

// BenchmarkBurst_Cores is a broadcast without clients: their ends of the connections are
// emptied in the kernel (recv with MSG_TRUNC copies nothing), between the measured parts.
// -cpu 1,2 shows how the writing scales: ns/delivery is wall time, cpu-ns/delivery the price.
func BenchmarkBurst_Cores(b *testing.B) {
	for _, bench := range []struct{ members, burst, senders int }{{1000, 1, 1}, {5000, 1, 1}, {1000, 10, 1}, {1000, 1, 4}} {
		name := fmt.Sprintf("members=%d/burst=%d/senders=%d", bench.members, bench.burst, bench.senders)
		b.Run(name, func(b *testing.B) {
			var all []*engineio.Session
			var mu sync.Mutex
			srv, addr, stop := burstServer(b, func(s *engineio.Session) { mu.Lock(); all = append(all, s); mu.Unlock() })
			defer stop()
			var conns []net.Conn
			for range bench.members {
				conn, _ := rawWebSocket(b, addr)
				defer conn.Close()
				conns = append(conns, conn)
			}
			f := text(strings.Repeat("x", 100))
			runs := 0
			cpu, writes := usedSoFar(b)
			b.ResetTimer()
			for range b.N {
				var senders sync.WaitGroup
				for range bench.senders {
					senders.Go(func() {
						for range bench.burst {
							burst := srv.NewBurst()
							for _, s := range all {
								burst.Send(s, f)
							}
							burst.End()
						}
					})
				}
				senders.Wait()
				engineio.AwaitFlusher(srv)
				if runs += bench.burst * bench.senders; runs >= 64 {
					b.StopTimer()
					runs = 0
					before, _ := usedSoFar(b)
					drainAll(b, conns)
					after, _ := usedSoFar(b)
					cpu += after - before
					b.StartTimer()
				}
			}
			b.StopTimer()
			cpu2, writes2 := usedSoFar(b)
			deliveries := float64(b.N * bench.members * bench.burst * bench.senders)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/deliveries, "ns/delivery")
			b.ReportMetric(float64((cpu2-cpu).Nanoseconds())/deliveries, "cpu-ns/delivery")
			b.ReportMetric(float64(writes2-writes)/deliveries, "writes/delivery")
		})
	}
}
