package callback

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"posthouse/internal/sleep"
)

// IPPolicy says what becomes of a push from an address that WeChat does not list.
type IPPolicy string

const (
	IPOff     IPPolicy = "off"     // addresses are not looked at; the default
	IPLog     IPPolicy = "log"     // counted and logged
	IPEnforce IPPolicy = "enforce" // refused; only counted while the list is empty
)

// IPSource tells the addresses that pushes come from; wechat.Client is one.
type IPSource interface {
	CallbackIPs(ctx context.Context) ([]netip.Prefix, error)
}

// IPListOptions configure an IPList.
type IPListOptions struct {
	// File keeps the list over a restart; "" keeps it in memory only.
	File string
	// Every is how often Run asks again; 0 is 24 h. After a failure it asks
	// again in a twentieth of that.
	Every  time.Duration
	Logger *slog.Logger // nil means slog.Default()
}

// IPList is WeChat's list of callback addresses, kept fresh. It is safe for
// concurrent use.
type IPList struct {
	ipSource    IPSource
	options     IPListOptions
	currentList atomic.Pointer[[]netip.Prefix]
}

// NewIPList makes a list and reads the file, if there is one. It asks no server
// yet: see Refresh and Run.
func NewIPList(source IPSource, o *IPListOptions) *IPList {
	l := &IPList{ipSource: source}
	if o != nil {
		l.options = *o
	}
	if l.options.Every <= 0 {
		l.options.Every = 24 * time.Hour
	}
	if l.options.Logger == nil {
		l.options.Logger = slog.Default()
	}
	if l.options.File != "" {
		var kept []netip.Prefix
		if raw, err := os.ReadFile(l.options.File); err == nil && json.Unmarshal(raw, &kept) == nil && len(kept) > 0 {
			l.currentList.Store(&kept)
		}
	}
	return l
}

// Refresh asks the source once. An empty or failed answer keeps what is known.
func (l *IPList) Refresh(ctx context.Context) error {
	fresh, err := l.ipSource.CallbackIPs(ctx)
	if err != nil || len(fresh) == 0 {
		return err
	}
	l.currentList.Store(&fresh)
	if l.options.File == "" {
		return nil
	}
	return writeFile(l.options.File, fresh)
}

// writeFile replaces the file as a whole, so that a crash leaves the old list.
func writeFile(name string, list []netip.Prefix) error {
	raw, err := json.Marshal(list)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// Run keeps the list fresh until ctx ends.
func (l *IPList) Run(ctx context.Context) {
	for {
		next := l.options.Every
		if err := l.Refresh(ctx); err != nil && ctx.Err() == nil {
			l.options.Logger.Warn("WeChat's list of callback addresses could not be refreshed")
			next /= 20
		}
		if sleep.For(ctx, next) != nil {
			return
		}
	}
}

// listsAddr reports whether addr is on the list; known is false while there is none.
func (l *IPList) listsAddr(addr netip.Addr) (listed, known bool) {
	p := l.currentList.Load()
	if p == nil {
		return false, false
	}
	return slices.ContainsFunc(*p, func(x netip.Prefix) bool { return x.Contains(addr) }), true
}

// fromWeChat applies the account's policy to the sender's address.
func (a *account) fromWeChat(r *http.Request) bool {
	if a.IPPolicy == IPOff {
		return true
	}
	addr := a.handler.options.ClientIP(r)
	listed, known := a.IPs.listsAddr(addr.Unmap())
	if listed {
		return true
	}
	a.handler.options.Metrics.Fault(a.Name, "ip_unlisted")
	if a.IPPolicy == IPEnforce && known {
		return false
	}
	about := advices["ip"]
	about.meaning = "a push is let in although " + about.meaning
	a.logNotice("ip let in", "ip", about, slog.String("seen", addr.String()), slog.Bool("list_known", known))
	return true
}
