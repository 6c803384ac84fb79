package sleep_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/sleep"
)

func TestFor_ReturnsAfterTheTime_OrTheEndOfTheContext(t *testing.T) {
	errGone := errors.New("gone")
	for name, c := range map[string]struct {
		d, ends, took time.Duration
		want          error
	}{
		"the time passes":          {time.Second, time.Minute, time.Second, nil},
		"the context ends first":   {time.Minute, time.Second, time.Second, errGone},
		"no time":                  {0, time.Minute, 0, nil},
		"the context has ended":    {time.Minute, 0, 0, errGone},
		"no time and no context":   {0, 0, 0, errGone},
		"time that lies behind us": {-time.Second, time.Minute, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if c.ends == 0 {
					cancel(errGone)
				} else {
					defer time.AfterFunc(c.ends, func() { cancel(errGone) }).Stop()
				}
				start := time.Now()
				if err := sleep.For(ctx, c.d); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				if took := time.Since(start); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
			})
		})
	}
}
