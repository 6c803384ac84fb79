package taskgroup_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/taskgroup"
)

func TestGroup_Wait_ReturnsWhenTheLastTaskEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g taskgroup.Group
		if err := g.Wait(t.Context()); err != nil {
			t.Fatalf("an empty group: %v", err)
		}
		start := time.Now()
		for i := range 3 {
			g.Go(func() { time.Sleep(time.Duration(i+1) * time.Second) })
		}
		first := make(chan error, 1)
		go func() { first <- g.Wait(context.Background()) }() // a second waiter
		if err := g.Wait(t.Context()); err != nil || time.Since(start) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if err := <-first; err != nil {
			t.Errorf("the other waiter: %v", err)
		}
		g.Add() // a group that was idle may grow again
		g.Done()
		if err := g.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestGroup_Wait_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g taskgroup.Group
		g.Add()
		late := errors.New("late")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, late)
		defer cancel()
		if err := g.Wait(ctx); !errors.Is(err, late) {
			t.Errorf("got %v", err)
		}
		g.Done()
	})
}

func TestGroup_Close_RefusesNewTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g taskgroup.Group
		end := make(chan struct{})
		if !g.Go(func() { <-end }) {
			t.Fatal("an open group refused a task")
		}
		g.Close()
		if g.Add() || g.Go(func() { t.Error("a task of a closed group ran") }) {
			t.Error("a closed group took a task")
		}
		close(end)
		if err := g.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
