package gateway

import (
	"fmt"
	"strings"
	"testing"
)

// A value that was read from Redis is no label before it was looked at: a counter
// panics on bytes that are no UTF-8, and every new value would be a series for good.
func TestMetrics_ForeignLabels_BecomeOther(t *testing.T) {
	t.Parallel()
	m := newMetrics(func() float64 { return 0 })
	m.knowAccounts([]*account{{Account: Account{Name: "shop"}}})
	m.Count("attempt", "shop", "done:claimed")
	m.Count("attempt", "", "spool")
	for i := range 1000 {
		m.Count("attempt", "\xff\xfe", "done:\xff")
		m.Count("attempt", fmt.Sprintf("shop%d", i), "done") // a good name, of no account
		m.Count("claim", strings.Repeat("x", 5000), fmt.Sprintf("r%d", i))
		m.Count("claim", "shop", "a"+strings.Repeat("b", i%70)+strings.Repeat("c", i/70))
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "posthouse_login_total" {
			continue
		}
		if n := len(f.GetMetric()); n > 200 {
			t.Errorf("%d series", n)
		}
		for _, series := range f.GetMetric() {
			for _, l := range series.GetLabel() {
				if l.GetName() == "account" && l.GetValue() != "shop" && l.GetValue() != "" && l.GetValue() != "other" {
					t.Errorf("account %q", l.GetValue())
				}
			}
		}
	}
}

// Reasons and accounts that an attacker makes up, of good shape too, leave the number of
// series and the memory of the counters bounded; what is counted is not lost.
func TestMetrics_MadeUpReasonsAndAccounts_AreBounded(t *testing.T) {
	t.Parallel()
	for accounts, bound := range map[int]int{1: maxReasonSeries, 3: maxReasonSeries + 2*moreForAnAccount} {
		m := newMetrics(func() float64 { return 0 })
		var list []*account
		for i := range accounts {
			list = append(list, &account{Account: Account{Name: fmt.Sprintf("shop%d", i)}})
		}
		m.knowAccounts(list)
		m.Count("attempt", "shop0", "done:scan")
		const n = 20_000
		for i := range n {
			reason := "a" + strings.Repeat("b", i%60) + strings.Repeat("c", i/60%60)
			m.Count([]string{"attempt", "claim", "spool"}[i%3], fmt.Sprintf("shop%d", i%7), reason)
			webhookCounter{m}.Refused(fmt.Sprintf("shop%d", i%5), reason)
		}
		m.Count("attempt", "shop0", "done:scan")
		families, err := m.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		series, counted := 0, 0.0
		for _, f := range families {
			if name := f.GetName(); name != "posthouse_login_total" && name != "posthouse_webhook_events_total" {
				continue
			}
			for _, one := range f.GetMetric() {
				series++
				counted += one.GetCounter().GetValue()
				if one.GetLabel()[1].GetValue() == "done:scan" && one.GetCounter().GetValue() != 2 {
					t.Errorf("a known reason: %v", one)
				}
			}
		}
		t.Logf("%d accounts: %d series", accounts, series)
		if series > bound || len(m.reasonSeries.known) > bound || counted != 2*n+2 {
			t.Errorf("%d accounts: %d series, %d known, %v counted", accounts, series, len(m.reasonSeries.known), counted)
		}
	}
}
