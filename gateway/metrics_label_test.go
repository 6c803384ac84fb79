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
