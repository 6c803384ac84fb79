package gateway

import (
	"io"
	"log/slog"
	"os"
)

// NewLogger returns a logger that writes structured lines to w. format is text,
// json, or auto: text when w is a terminal, else json.
func NewLogger(w io.Writer, level, format string) *slog.Logger {
	l := new(slog.LevelVar)
	_ = l.UnmarshalText([]byte(level)) // checked by the configuration; info otherwise
	o := &slog.HandlerOptions{Level: l, ReplaceAttr: shortenAttr}
	if format == "text" || format == "auto" && isTerminal(w) {
		return slog.New(leveledHandler{slog.NewTextHandler(w, o), l})
	}
	return slog.New(leveledHandler{slog.NewJSONHandler(w, o), l})
}

// leveledHandler is a handler whose level a reload changes, for the loggers made from it too.
type leveledHandler struct {
	slog.Handler
	level *slog.LevelVar
}

const maxLogValue = 256 // bytes: clients must not fill the disk

func shortenAttr(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindString && len(a.Value.String()) > maxLogValue && a.Key != "stack" {
		a.Value = slog.StringValue(a.Value.String()[:maxLogValue] + "…")
	}
	return a
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // a character device too
	return err != nil || !os.SameFile(info, null)
}
