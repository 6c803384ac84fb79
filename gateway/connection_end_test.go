package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/loglimit"
	"posthouse/socketio/engineio"
)

func TestConnectionEnded_LevelsAndKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		end    engineio.SessionEnd
		level  string
		reason string
		cause  any
	}{
		{engineio.SessionEnd{Reason: engineio.ReasonTransportClose}, "DEBUG", "transport close", nil},
		{engineio.SessionEnd{Reason: engineio.ReasonForcedClose}, "DEBUG", "forced close", nil},
		{engineio.SessionEnd{Reason: engineio.ReasonTransportError}, "INFO", "transport error", nil},
		{engineio.SessionEnd{Reason: engineio.ReasonPingTimeout}, "INFO", "ping timeout", nil},
		{engineio.SessionEnd{Reason: engineio.ReasonParseError}, "INFO", "parse error", nil},
		{engineio.SessionEnd{Reason: engineio.ReasonTransportError, Description: fmt.Errorf("x: %w", engineio.ErrSlow)}, "INFO", "transport error", "slow"},
		{engineio.SessionEnd{Reason: engineio.ReasonForcedClose, Refused: true}, "INFO", "forced close", "refused"},
		{engineio.SessionEnd{Reason: engineio.ReasonForcedClose, Description: errors.New("bad packet")}, "INFO", "forced close", "protocol"},
	} {
		var out bytes.Buffer
		c.end.ID, c.end.Transport, c.end.Duration, c.end.Packets, c.end.Bytes = "secret-sid", "websocket", 1500*time.Millisecond, 7, 90
		newEndLog(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))).connectionEnded(&c.end)
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err, out.String())
		}
		want := map[string]any{
			"msg": "connection ended", "level": c.level, "reason": c.reason, "transport": "websocket", "seconds": 1.5, "packets": 7.0, "bytes": 90.0, "cause": c.cause,
		}
		for key, value := range want {
			if line[key] != value {
				t.Errorf("%v: %s is %v, want %v", c.end, key, line[key], value)
			}
		}
		if id, _ := line["id"].(string); len(id) != 12 || strings.Contains(out.String(), "secret") {
			t.Errorf("id in %s", out.String())
		}
	}
}

func TestConnectionEnded_FloodIsSampledWithTheCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := newEndLog(slog.New(slog.NewTextHandler(&out, nil)))
		end := &engineio.SessionEnd{Reason: engineio.ReasonPingTimeout}
		for range endsPerInterval + 50 {
			l.connectionEnded(end)
		}
		if n := strings.Count(out.String(), "connection ended"); n != endsPerInterval {
			t.Errorf("%d lines", n)
		}
		l.connectionEnded(&engineio.SessionEnd{Reason: engineio.ReasonForcedClose}) // below the level: no line, and counted nowhere
		time.Sleep(2 * loglimit.Interval)
		l.connectionEnded(end)
		if !strings.Contains(out.String(), "left_out=50") {
			t.Errorf("no count in %s", out.String()[max(0, out.Len()-300):])
		}
	})
}
