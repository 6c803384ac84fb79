package gateway

import (
	"fmt"
	"io"
	"strings"
)

// Banner tells what is about to run, in a few aligned lines.
func (a *App) Banner(w io.Writer) {
	bold, warn, reset := "", "", ""
	if isTerminal(w) {
		bold, warn, reset = "\x1b[1m", "\x1b[33m", "\x1b[0m"
	}
	base := a.publicURL()
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "\n  %s驿站 Posthouse%s  replica %s\n\n", bold, reset, a.replicaName)
	line("start", "%s/", base)
	line("login", "%s/login", base)
	if phone := a.phoneURL(); phone != "" {
		line("phone", "%s  (the local WeChat: scan and follow here; on this machine only, through no proxy)", phone)
	}
	names := "namespace /login"
	for i := range a.config.Namespaces {
		names = strings.Replace(names, "namespace ", "namespaces ", 1) + " " + a.config.Namespaces[i].Name
	}
	line("socket.io", "%s%s/  %s", base, a.config.SocketIOPath, names)
	if a.apiHandler != nil {
		api := base
		if a.config.APIAddr != "" {
			api = "http://" + a.config.APIAddr
		}
		line("api", "%s/api/", api)
	}
	if a.admin != nil {
		line("admin", "%s/admin/", base)
	}
	if a.redisClient == nil {
		line("adapter", "in memory, this process alone")
		line("tickets", "in memory")
	} else {
		line("adapter", "%s (Redis), prefix %s", a.config.Adapter, a.config.AdapterKey)
		line("tickets", "Redis")
	}
	for _, account := range a.accounts.inOrder {
		line("wechat", "%s: %s, %s mode, callback %s/callback/wechat%s", account.Name, account.AppID, account.Mode, base, account.pathSuffix())
	}
	for _, warning := range a.bannerWarnings {
		fmt.Fprintf(&b, "  %s%-10s %s%s\n", warn, "warning", warning, reset)
	}
	fmt.Fprintln(w, b.String())
}

// publicURL is the address to open on this machine.
func (a *App) publicURL() string {
	scheme := "http://"
	switch addr := tcpAddr(a.listener); {
	case a.listener.Addr().Network() == "unix":
		return "unix:" + a.listener.Addr().String() + ":"
	case a.certificate != nil:
		scheme = "https://"
		fallthrough
	default:
		if addr.IP.IsUnspecified() || addr.IP.IsLoopback() {
			return fmt.Sprintf("%slocalhost:%d", scheme, addr.Port)
		}
		return scheme + addr.String()
	}
}
