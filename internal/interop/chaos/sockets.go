package main

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// established counts the connections that the server at base has accepted and that are
// established, as the kernel lists them: their number is the load's. A connection that its
// peer has left, and the server has not closed, is none of them.
func established(base string) (n float64) {
	u, err := url.Parse(base)
	if err != nil {
		return 0
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return 0
	}
	local := fmt.Sprintf(":%04X", port)
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(file)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			// sl, local address, remote address, state, …
			fields := strings.Fields(lines.Text())
			if len(fields) > 3 && strings.HasSuffix(fields[1], local) && fields[3] == "01" {
				n++
			}
		}
		_ = f.Close()
	}
	return n
}
