package client

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// bareConn is the floor under both clients: a WebSocket whose messages are made once and
// whose answers are counted, not read. One goroutine writes and reads, so that an echo
// costs one write, one read and one wake-up of the Go runtime, and nothing else.
type bareConn struct {
	conn net.Conn
	br   *bufio.Reader
}

func dialBare(url string) (*bareConn, error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return nil, err
	}
	c := &bareConn{conn, bufio.NewReaderSize(conn, 16<<10)}
	_, err = io.WriteString(conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: bare\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	if err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(c.br, nil)
	if err != nil {
		return nil, err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("status %d", answer.StatusCode)
	}
	if err := c.skip(1); err != nil { // the handshake
		return nil, err
	}
	if _, err := conn.Write(maskedFrame("40")); err != nil {
		return nil, err
	}
	return c, c.skip(1)
}

// maskedFrame is a whole text message under a mask of zeros.
func maskedFrame(text string) []byte {
	head := []byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}
	if len(text) > 125 {
		head = []byte{0x81, 0x80 | 126, 0, 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint16(head[2:], uint16(len(text)))
	}
	return append(head, text...)
}

// skip reads n short messages; pings of the server count as messages do.
func (c *bareConn) skip(n int) error {
	for range n {
		head, err := c.br.Peek(4)
		if err != nil {
			return err
		}
		size := 2 + int(head[1])
		if head[1] == 126 {
			size = 4 + int(binary.BigEndian.Uint16(head[2:]))
		}
		if _, err := c.br.Discard(size); err != nil {
			return err
		}
	}
	return nil
}

// benchBare does the work of benchClient without a client.
func benchBare(url, workload, ms string) error {
	n, err := strconv.Atoi(ms)
	if err != nil {
		return err
	}
	payload, err := json.Marshal(benchPayload())
	if err != nil {
		return err
	}
	request, inFlight, answers, clients := maskedFrame(`420["echo",`+string(payload)+`]`), 1, 1, 1
	switch workload {
	case "echo-16":
		inFlight = 16
	case "echo-50-clients":
		clients = 50
	case "events":
		request, answers = maskedFrame(`42["pump",1000]`), 1000
	}
	var ops atomic.Int64
	for range clients {
		c, err := dialBare(url)
		if err != nil {
			return err
		}
		if _, err := c.conn.Write(bytes.Repeat(request, inFlight)); err != nil {
			return err
		}
		go func() {
			for {
				if err := c.skip(answers); err != nil {
					panic(err)
				}
				ops.Add(int64(answers))
				if _, err := c.conn.Write(request); err != nil {
					panic(err)
				}
			}
		}()
	}
	time.Sleep(500 * time.Millisecond)
	before, cpu := ops.Load(), cpuTime()
	time.Sleep(time.Duration(n) * time.Millisecond)
	used := cpuTime() - cpu
	fmt.Println(ops.Load()-before, used.Microseconds())
	return nil
}
