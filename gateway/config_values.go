package gateway

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"posthouse/internal/wechat"
)

// Secret is a value that is never printed: every formatting gives "***".
type Secret = wechat.Secret

// Duration is a time.Duration that also reads a bare number as seconds.
type Duration time.Duration

// UnmarshalText reads "90s", "5m" or "300" (seconds).
func (d *Duration) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		s = strconv.FormatFloat(n, 'f', -1, 64) + "s"
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration such as 10s, 5m or 300", text)
	}
	*d = Duration(v)
	return nil
}

func (d Duration) String() string { return time.Duration(d).String() }

// Networks are CIDRs or single addresses, separated by commas.
type Networks []netip.Prefix

// UnmarshalText reads "10.0.0.0/8, 127.0.0.1".
func (n *Networks) UnmarshalText(text []byte) error {
	*n = nil
	for s := range strings.SplitSeq(string(text), ",") {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if a, failed := netip.ParseAddr(s); failed == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return fmt.Errorf("%q is not a network such as 10.0.0.0/8 or 127.0.0.1", s)
		}
		*n = append(*n, p)
	}
	return nil
}

// Rate is a number of events per second or minute.
type Rate struct {
	N   int
	Per time.Duration
	Off bool
}

// UnmarshalText reads "10/s", "6/m", a bare number (per second) or "off".
func (r *Rate) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == "off" {
		*r = Rate{Off: true}
		return nil
	}
	number, unit, _ := strings.Cut(s, "/")
	n, err := strconv.Atoi(strings.TrimSpace(number))
	per, ok := map[string]time.Duration{"": time.Second, "s": time.Second, "m": time.Minute, "h": time.Hour}[strings.TrimSpace(unit)]
	if err != nil || n < 1 || !ok {
		return fmt.Errorf("%q is not a rate such as 10/s, 6/m or off", text)
	}
	*r = Rate{N: n, Per: per}
	return nil
}

// Count is a number of things, or no limit.
type Count struct {
	N   int
	Off bool
}

// UnmarshalText reads a number or "off".
func (c *Count) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == "off" {
		*c = Count{Off: true}
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return fmt.Errorf("%q is not a number above 0 or off", text)
	}
	*c = Count{N: n}
	return nil
}

// Percent is a whole number of percent, or no limit.
type Percent struct {
	N   int
	Off bool
}

// UnmarshalText reads "85%", "85" or "off".
func (p *Percent) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == "off" {
		*p = Percent{Off: true}
		return nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(s, "%")))
	if err != nil || n < 1 || n > 100 {
		return fmt.Errorf("%q is not a percentage from 1%% to 100%%, or off", text)
	}
	*p = Percent{N: n}
	return nil
}
