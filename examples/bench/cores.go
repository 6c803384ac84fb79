package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"posthouse/internal/load"
)

// coresGoal is the throughput with two cores, as a multiple of that with one.
const coresGoal = 1.8

// coreCounts are 1, 2, 4 … as far as the machine goes.
func coreCounts() (list []int) {
	for n := 1; n <= runtime.NumCPU(); n *= 2 {
		list = append(list, n)
	}
	return list
}

// coresRow has the samples of one kind of work for one server, by number of cores and round.
type coresRow struct {
	work, server string
	wall, cpu    map[int][]float64 // µs for an operation
}

// runCores measures the same work with 1, 2, 4 … cores for the server: see load.Bulk. The
// load sleeps meanwhile, so the server may have the load's core too. only is the beginning
// of the names of the work to do.
func runCores(ctx context.Context, o options, only string) error {
	bulks := slices.DeleteFunc(load.Bulks(), func(b load.Bulk) bool { return !strings.HasPrefix(b.Name, only) })
	if err := separate(); err != nil {
		return err
	}
	if o.servers == defaultServers { // the others have one thread
		o.servers = "ours"
	}
	kinds, clean, err := prepare(ctx, strings.Split(o.servers, ","), o.dir)
	if err != nil {
		return err
	}
	defer clean()
	var rows []*coresRow
	for _, b := range bulks {
		for _, k := range kinds {
			rows = append(rows, &coresRow{b.Name, k.name, map[int][]float64{}, map[int][]float64{}})
		}
	}
	counts := coreCounts()
	for round := range o.rounds {
		for i, b := range bulks {
			for j, k := range kinds {
				for n := range counts {
					n := counts[(n+round)%len(counts)]
					cost, err := measureBulk(ctx, o.load, b, k, n)
					if ctx.Err() != nil {
						return errors.Join(writeCores(os.Stdout, rows, counts), ctx.Err())
					}
					r := rows[i*len(kinds)+j]
					wall, cpu := 0.0, 0.0
					if err == nil {
						wall = cost.Wall.Seconds() * 1e6 / float64(cost.Operations)
						cpu = cost.CPU.Seconds() * 1e6 / float64(cost.Operations)
					} else {
						fmt.Fprintf(os.Stderr, "round %d %s %s: %v\n", round+1, b.Name, k.name, err)
					}
					r.wall[n] = append(r.wall[n], wall)
					r.cpu[n] = append(r.cpu[n], cpu)
					fmt.Fprintf(os.Stderr, "round %d  %-12s %-7s %d cores  %8.2f µs of time, %8.2f µs of CPU\n", round+1, b.Name, k.name, n, wall, cpu)
				}
			}
		}
	}
	return writeCores(os.Stdout, rows, counts)
}

// measureBulk runs one kind of work against a fresh process with the last n cores.
func measureBulk(ctx context.Context, l load.Load, b load.Bulk, k kind, n int) (cost load.BulkCost, err error) {
	k.cores = nil
	for i := range n {
		k.cores = append(k.cores, runtime.NumCPU()-1-i)
	}
	p, err := k.start(ctx, []string{fmt.Sprintf("GOMAXPROCS=%d", n)})
	if err != nil {
		return cost, err
	}
	defer p.stop()
	t, err := load.Find(ctx, p.addr)
	if err == nil {
		// All cores are also for what else the machine has to do. The load shares them, but
		// sleeps; it reads the clock before the server, which does not go before it, begins.
		err = errors.Join(load.GoFirst(os.Getpid(), 1), load.GoFirst(t.PID, 1))
	}
	if err != nil {
		return cost, err
	}
	return b.Run(ctx, l, t)
}

// writeCores prints a line for each kind of work: medians, and of each round the throughput
// as a multiple of that with one core.
func writeCores(w io.Writer, rows []*coresRow, counts []int) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "work\tserver")
	for _, n := range counts {
		fmt.Fprintf(tw, "\tµs, %d cores\tCPU", n)
	}
	for _, n := range counts[1:] {
		fmt.Fprintf(tw, "\tthroughput ×, %d cores\tnoise", n)
	}
	fmt.Fprintf(tw, "\tgoal for 2: %.1f\n", coresGoal)
	for _, r := range rows {
		fmt.Fprintf(tw, "%s\t%s", r.work, r.server)
		for _, n := range counts {
			fmt.Fprintf(tw, "\t%.2f\t%.2f", median(present(r.wall[n])), median(present(r.cpu[n])))
		}
		verdict := ""
		for _, n := range counts[1:] {
			var list []float64
			for i := range r.wall[n] {
				if r.wall[n][i] > 0 && r.wall[1][i] > 0 {
					list = append(list, r.wall[1][i]/r.wall[n][i])
				}
			}
			fmt.Fprintf(tw, "\t%.2f\t±%.0f%%", median(list), 100*noise(list))
			if n == 2 {
				verdict = map[bool]string{true: "met", false: "missed"}[median(list) >= coresGoal]
			}
		}
		fmt.Fprintf(tw, "\t%s\n", verdict)
	}
	return tw.Flush()
}
