package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// redisInfo returns the lines of INFO as a map, one connection a call.
func redisInfo(ctx context.Context, addr, section string) (map[string]string, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(ioTimeout))
	if _, err := fmt.Fprintf(c, "INFO %s\r\n", section); err != nil {
		return nil, err
	}
	return readInfo(bufio.NewReader(c))
}

func readInfo(r *bufio.Reader) (map[string]string, error) {
	head, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(head, "$")))
	if err != nil || n < 0 || n > maxAnswer {
		return nil, fmt.Errorf("load: INFO answered with %.80q", head)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	info := map[string]string{}
	for line := range strings.Lines(string(body)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info, nil
}

// redisCommands is how many commands Redis has run, those inside scripts and INFO itself
// included.
func redisCommands(ctx context.Context, addr string) (sum float64, err error) {
	info, err := redisInfo(ctx, addr, "stats")
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(info["total_commands_processed"], 64)
}

// redisMemory is what Redis holds, in bytes.
func redisMemory(ctx context.Context, addr string) (float64, error) {
	info, err := redisInfo(ctx, addr, "memory")
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(info["used_memory"], 64)
}
