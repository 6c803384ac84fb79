package main

import (
	"context"
	"sync"
)

// sideBySide calls do for every row: first for the rows that share the machine, lanes of them
// at a time, then for each row that needs the machine alone. Rows that have not begun when ctx
// ends are left out.
func sideBySide(ctx context.Context, all []row, lanes int, do func(row)) {
	slots := make(chan struct{}, max(lanes, 1))
	var shared sync.WaitGroup
	for _, r := range all {
		if r.alone {
			continue
		}
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		shared.Go(func() {
			defer func() { <-slots }()
			do(r)
		})
	}
	shared.Wait()
	for _, r := range all {
		if r.alone && ctx.Err() == nil {
			do(r)
		}
	}
}
