package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// commandTB lets the helpers of package testenv run outside of `go test`. The interface
// that it embeds is nil and only there because testing.TB cannot be implemented otherwise.
type commandTB struct {
	testing.TB

	name   string
	ctx    context.Context
	cancel context.CancelFunc

	// firstRed ends the row at the first bar that is not met.
	firstRed bool

	mu       sync.Mutex // guards what follows
	failed   bool
	skipped  bool
	errors   []string
	log      []string
	cleanups []func()
}

func newCommandTB(ctx context.Context, name string) *commandTB {
	t := &commandTB{name: name}
	t.ctx, t.cancel = context.WithCancel(ctx)
	return t
}

// run runs f as a test would, with what it registered for its end, and returns afterwards.
func (t *commandTB) run(f func(testing.TB)) {
	done := make(chan struct{})
	go func() { // FailNow ends it early; waited for below
		defer close(done)
		defer t.end()
		defer func() {
			if r := recover(); r != nil {
				buf := make([]byte, 16<<10)
				t.Errorf("panic: %v\n%s", r, buf[:runtime.Stack(buf, false)])
			}
		}()
		f(t)
	}()
	<-done
}

func (t *commandTB) end() {
	t.cancel()
	for {
		t.mu.Lock()
		all := t.cleanups
		t.cleanups = nil
		t.mu.Unlock()
		if len(all) == 0 {
			return
		}
		for _, f := range slices.Backward(all) {
			f()
		}
	}
}

func (t *commandTB) add(text string, failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if failed {
		t.failed = true
		t.errors = append(t.errors, text)
		return
	}
	t.log = append(t.log, text)
}

func (t *commandTB) Name() string             { return t.name }
func (t *commandTB) Context() context.Context { return t.ctx }
func (*commandTB) Helper()                    {}

func (t *commandTB) Log(args ...any)                   { t.add(fmt.Sprint(args...), false) }
func (t *commandTB) Logf(format string, args ...any)   { t.add(fmt.Sprintf(format, args...), false) }
func (t *commandTB) Error(args ...any)                 { t.add(fmt.Sprint(args...), true) }
func (t *commandTB) Errorf(format string, args ...any) { t.add(fmt.Sprintf(format, args...), true) }

func (t *commandTB) Fatal(args ...any) {
	t.Error(args...)
	runtime.Goexit()
}

func (t *commandTB) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

func (t *commandTB) Fail() { t.add("failed", true) }

func (t *commandTB) FailNow() {
	t.Fail()
	runtime.Goexit()
}

func (t *commandTB) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

func (t *commandTB) Skipf(format string, args ...any) {
	t.add(fmt.Sprintf(format, args...), false)
	t.mu.Lock()
	t.skipped = true
	t.mu.Unlock()
	runtime.Goexit()
}

func (t *commandTB) Skip(args ...any) { t.Skipf("%s", fmt.Sprint(args...)) }

func (t *commandTB) Skipped() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.skipped
}

func (t *commandTB) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

func (t *commandTB) TempDir() string {
	dir, err := os.MkdirTemp("", "posthouse-chaos-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
