package gateway

import (
	"net/netip"
	"time"
)

// Attempts that fail because the store or WeChat is away do not count against the limits
// of QR codes: the person got none. They have bounds of their own, so that pages that
// try again do not hammer what is down.
var (
	failuresPerSocket = Rate{N: 30, Per: time.Minute}
	failuresPerIP     = Rate{N: 600, Per: time.Minute}
)

// codeLimits are who may ask for how many codes.
type codeLimits struct {
	perSocket  *keyedRate[string]
	perBrowser *keyedRate[string]
	perIP      *keyedRate[netip.Addr]

	failedPerSocket *keyedRate[string]
	failedPerIP     *keyedRate[netip.Addr]
}

func newCodeLimits(cfg *Config) codeLimits {
	perSocket, perIP := failuresPerSocket, failuresPerIP
	perSocket.Off, perIP.Off = cfg.LimitQRCodesSocket.Off, cfg.LimitQRCodesIP.Off
	return codeLimits{
		perSocket:       newKeyedRate[string](cfg.LimitQRCodesSocket, 0),
		perBrowser:      newKeyedRate[string](cfg.LimitQRCodesBrowser, 0),
		perIP:           newKeyedRate[netip.Addr](cfg.LimitQRCodesIP, 0),
		failedPerSocket: newKeyedRate[string](perSocket, 10),
		failedPerIP:     newKeyedRate[netip.Addr](perIP, 100),
	}
}

// spendCode counts one code for a socket and its client. The error is the failure of the limit
// that is reached; nothing counts then. giveBack undoes it for an attempt that failed,
// and counts that instead.
func (n *loginNamespace) spendCode(socketID string, from clientInfo) (giveBack func(), err error) {
	l := &n.codeLimits
	var undo []func()
	back := func() {
		for _, do := range undo {
			do()
		}
	}
	for _, limit := range []struct {
		name  string
		allow func() (bool, int)
		undo  func()
	}{
		{"failures_per_socket", func() (bool, int) { return l.failedPerSocket.wouldAllow(socketID) }, func() {}},
		{"failures_per_ip", func() (bool, int) { return l.failedPerIP.wouldAllow(from.clientIP) }, func() {}},
		{"qrcodes_per_socket", func() (bool, int) { return l.perSocket.allow(socketID) }, func() { l.perSocket.giveBack(socketID) }},
		{"qrcodes_per_browser", func() (bool, int) {
			if from.browserHash == "" {
				return true, 0
			}
			return l.perBrowser.allow(from.browserHash)
		}, func() {
			if from.browserHash != "" {
				l.perBrowser.giveBack(from.browserHash)
			}
		}},
		{"qrcodes_per_ip", func() (bool, int) { return l.perIP.allow(from.clientIP) }, func() { l.perIP.giveBack(from.clientIP) }},
	} {
		if ok, wait := limit.allow(); !ok {
			back()
			n.metrics.refusals.countRefusal(limit.name, "address", from.clientIP)
			return nil, newFailure("rate_limited", wait)
		}
		undo = append(undo, limit.undo)
	}
	return func() {
		back()
		l.failedPerSocket.allow(socketID)
		l.failedPerIP.allow(from.clientIP)
	}, nil
}
