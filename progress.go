package main

import (
	"fmt"
	"os"
)

// progress is one line on a terminal that says what is under way. On anything else
// than a terminal it is silent.
type progress struct{ terminal *os.File }

func newProgress(f *os.File) progress {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return progress{}
	}
	if null, err := os.Stat(os.DevNull); err == nil && os.SameFile(info, null) {
		return progress{} // a device that shows nothing
	}
	return progress{f}
}

func (p progress) show(step string) {
	if p.terminal != nil {
		fmt.Fprintf(p.terminal, "\r\x1b[K… %s", step)
	}
}

// clear removes the line, so that the text after it stands alone.
func (p progress) clear() {
	if p.terminal != nil {
		fmt.Fprint(p.terminal, "\r\x1b[K")
	}
}
