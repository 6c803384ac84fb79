package main

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Rows share the machine in lanes; a row that measures has it alone; rows do not begin after
// the end of the run.
func TestSideBySide_RowsThatMeasureRunAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := []row{{id: "m1", alone: true}, {id: "a"}, {id: "b"}, {id: "c"}, {id: "m2", alone: true}, {id: "d"}}
		var now, most atomic.Int64
		var ran atomic.Int64
		sideBySide(t.Context(), all, 3, func(r row) {
			n := now.Add(1)
			most.Store(max(most.Load(), n))
			time.Sleep(time.Second) // of the bubble's clock: every lane is full
			if r.alone && now.Load() != 1 {
				t.Errorf("%s runs beside %d others", r.id, now.Load()-1)
			}
			now.Add(-1)
			ran.Add(1)
		})
		if most.Load() != 3 || ran.Load() != int64(len(all)) {
			t.Errorf("%d rows side by side, %d of %d ran", most.Load(), ran.Load(), len(all))
		}
	})
}

func TestSideBySide_EndedRunBeginsNoRow(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var ran []string
	sideBySide(ctx, []row{{id: "a"}, {id: "b"}, {id: "m", alone: true}}, 1, func(r row) {
		ran = append(ran, r.id)
		cancel()
	})
	if !slices.Equal(ran, []string{"a"}) {
		t.Errorf("%v ran", ran)
	}
}

// Only a bar, an invariant or a named test makes a mutation red: a rig that does not start is
// an error of the run.
func TestJudgeMutated_RedNeedsABar(t *testing.T) {
	exit := errors.New("exit status 1")
	for _, c := range []struct {
		name, text, want string
		err              error
		noticed          bool
	}{
		{"bar", "    why  not met: p99 3s\n    FAIL  2 s", "red: p99 3s", exit, true},
		{"a bar after a scan that failed", "    why  scan of person-1-1: 500\n    why  not met: 2 logins were lost\n    FAIL  2 s", "red: 2 logins were lost", exit, true},
		{"test", "    why  --- FAIL: TestX go test\n    FAIL  2 s", "red: TestX", exit, true},
		{"rig", "    why  not ready after 10s\n    FAIL  2 s", "ERROR: no bar was reached: not ready after 10s", exit, false},
		{"tests that do not build", "    why  go test\nFAIL ./x [build failed]\n    FAIL  2 s", "ERROR: the tests do not build: ", exit, false},
		{"nothing printed", "chaos: no row", "ERROR: the row did not run: chaos: no row", exit, false},
		{"not run", "    NOT RUN  2 s", "ERROR: the row did not run: ", nil, false},
		{"green", "    PASS  2 s", "GREEN: the row does not notice", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			verdict, noticed := judgeMutated(c.text, c.err)
			if noticed != c.noticed || len(verdict) < len(c.want) || verdict[:len(c.want)] != c.want {
				t.Errorf("%q, noticed %v", verdict, noticed)
			}
		})
	}
}
