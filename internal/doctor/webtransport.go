package doctor

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"
)

// webTransport is the check of servers that announce it, behind all others.
const webTransport = "webtransport"

// checkWebTransport opens a session by UDP where the server announces that. Clients whose UDP
// does not arrive stay with another transport, after a wait.
func (w *walk) checkWebTransport(ctx context.Context) {
	if !slices.Contains(w.open.Upgrades, webTransport) || w.revision != 4 {
		return
	}
	w.options.Progress(webTransport)
	if w.target.site.Scheme != "https" {
		w.fail(webTransport, faultUDP, "it is announced over plain HTTP, where no browser can use it")
		return
	}
	w.pace(ctx)
	began := time.Now()
	err := w.openWebTransport(ctx)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		err = w.openWebTransport(ctx) // UDP may lose packets, and the hop is to be blamed for all of them only
	}
	if err != nil {
		w.fail(webTransport, faultUDP, "it is announced, and UDP port %s gives no session: %s", w.udpPort(), plain(err))
		return
	}
	w.ok(webTransport, "a session by UDP port %s in %s", w.udpPort(), time.Since(began).Round(100*time.Microsecond))
}

func (w *walk) udpPort() string {
	if port := w.target.site.Port(); port != "" {
		return port
	}
	return "443"
}

// openWebTransport makes a session and ends it.
func (w *walk) openWebTransport(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	config := new(tls.Config)
	if w.target.tls != nil {
		config = w.target.tls.Clone()
	}
	config.NextProtos = []string{http3.NextProtoH3}
	transport := &webtransport.Transport{TLSClientConfig: config, QUICConfig: &quic.Config{
		HandshakeIdleTimeout: answerTimeout, EnableDatagrams: true, EnableStreamResetPartialDelivery: true,
	}}
	defer func() { _ = transport.Close() }()
	header := http.Header{"User-Agent": {"posthouse-doctor"}, "Origin": {w.pageOrigin()}}
	resp, session, err := transport.Dial(ctx, w.target.url("EIO=4&transport=webtransport"), header) //nolint:bodyclose // the body is the session's stream
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return err
	}
	defer func() { _ = session.CloseWithError(0, "") }()
	stream, err := session.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	_ = stream.SetDeadline(deadline)
	if _, err := stream.Write([]byte{1, '0'}); err != nil { // a text packet of one byte: open
		return err
	}
	packet, err := readStreamPacket(stream)
	if err != nil {
		return err
	}
	_, err = parseOpen([]string{packet})
	return err
}

// readStreamPacket reads one packet of a stream: its length, and a bit for binary ones, stand
// before it in one, three or nine bytes.
func readStreamPacket(r io.Reader) (string, error) {
	head := make([]byte, 9)
	if _, err := io.ReadFull(r, head[:1]); err != nil {
		return "", err
	}
	length := uint64(head[0] & 0x7f)
	switch length {
	case 126:
		if _, err := io.ReadFull(r, head[1:3]); err != nil {
			return "", err
		}
		length = uint64(binary.BigEndian.Uint16(head[1:3]))
	case 127:
		if _, err := io.ReadFull(r, head[1:9]); err != nil {
			return "", err
		}
		length = binary.BigEndian.Uint64(head[1:9])
	}
	if length > 16<<10 {
		return "", errors.New("the first packet has " + strconv.FormatUint(length, 10) + " bytes")
	}
	data := make([]byte, length)
	_, err := io.ReadFull(r, data)
	return string(data), err
}
