package admin

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestAttempts_Failures_AreCountedPerNetworkAndMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts(2)
		expect := func(address string, want bool) {
			t.Helper()
			if got := a.begin(address); got != want {
				t.Errorf("begin(%s) = %v", address, got)
			}
		}
		for _, addresses := range [][3]string{
			{"192.0.2.1", "192.0.2.1", "192.0.2.1"},
			{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::"},
			{"unknown", "unknown", "unknown"},
		} {
			expect(addresses[0], true)
			expect(addresses[1], true)
			expect(addresses[2], false)
		}
		expect("192.0.2.2", true)
		expect("2001:db8:0:1::1", true)
		a.succeed("192.0.2.1")
		expect("192.0.2.1", true)
		expect("192.0.2.1", false)
		time.Sleep(time.Minute)
		expect("192.0.2.1", true)
	})
}

func TestAttempts_ManyAddresses_ShareACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts(1)
		for i := range maxAddresses {
			a.begin(fmt.Sprint("host", i))
		}
		if !a.begin("one") || a.begin("two") {
			t.Error("two further addresses are counted apart")
		}
		if len(a.addresses) > maxAddresses+1 {
			t.Errorf("%d addresses are kept", len(a.addresses))
		}
		time.Sleep(time.Minute)
		if !a.begin("two") || len(a.addresses) > 2 {
			t.Errorf("%d addresses are kept after their time", len(a.addresses))
		}
	})
}

func TestMemoryStore_ManySessions_TheOldestIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryStore()
		for i := range maxSessions + 1 {
			if err := m.Save(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		expect := func(id string, want bool) {
			t.Helper()
			if known, err := m.Has(t.Context(), id); known != want || err != nil {
				t.Errorf("Has(%s) = %v, %v", id, known, err)
			}
		}
		expect("0", false)
		expect("1", true)
		time.Sleep(SessionLife)
		expect(fmt.Sprint(maxSessions), false)
	})
}
