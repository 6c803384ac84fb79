package gateway

import (
	"context"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// notifySystemd tells systemd of a state (sd_notify(3)); without NOTIFY_SOCKET it does
// nothing. A message that is lost is systemd's to notice.
func notifySystemd(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if strings.HasPrefix(path, "@") {
		path = "\x00" + path[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	_, _ = c.Write([]byte(state))
}

// notifyReloading tells systemd that settings are read again, and returns what says that this
// is over: systemctl reload waits for it where the unit is of Type=notify-reload.
func notifyReloading() (done func()) {
	state := "RELOADING=1"
	if micros := monotonicMicros(); micros > 0 {
		state += "\nMONOTONIC_USEC=" + strconv.FormatInt(micros, 10)
	}
	notifySystemd(state)
	return func() { notifySystemd("READY=1") }
}

// watchdog tells systemd twice in each WatchdogSec that the process works.
func watchdog(ctx context.Context) {
	micros, err := strconv.Atoi(os.Getenv("WATCHDOG_USEC"))
	pid := os.Getenv("WATCHDOG_PID")
	if err != nil || micros < 2 || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return
	}
	tick := time.NewTicker(time.Duration(micros) * time.Microsecond / 2)
	defer tick.Stop()
	for {
		notifySystemd("WATCHDOG=1")
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
