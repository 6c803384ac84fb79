package webtransport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	wt "github.com/quic-go/webtransport-go"
)

// DialOptions configure Dial.
type DialOptions struct {
	// TLS is the client's; certificates are verified unless it says otherwise. Nil means
	// the defaults of crypto/tls.
	TLS *tls.Config
}

// Dial returns what Options.WebTransport of the clients wants: a function that opens a
// session with a server and the one stream that it uses. A connection of its own is made
// for each; it ends with the net.Conn.
func Dial(o *DialOptions) func(ctx context.Context, url string, header http.Header, maxPayload int64) (net.Conn, error) {
	config := new(tls.Config)
	if o != nil && o.TLS != nil {
		config = o.TLS.Clone()
	}
	config.NextProtos = []string{http3.NextProtoH3}
	return func(ctx context.Context, url string, header http.Header, maxPayload int64) (net.Conn, error) {
		transport := &wt.Transport{TLSClientConfig: config, QUICConfig: &quic.Config{
			HandshakeIdleTimeout:             handshakeTime,
			InitialStreamReceiveWindow:       streamWindow,
			MaxStreamReceiveWindow:           maxStreamWindow,
			InitialConnectionReceiveWindow:   2 * streamWindow,
			MaxConnectionReceiveWindow:       2 * maxStreamWindow,
			EnableDatagrams:                  true,
			EnableStreamResetPartialDelivery: true,
		}}
		url = "https" + url[strings.Index(url, "://"):]
		_, session, err := transport.Dial(ctx, url, header) //nolint:bodyclose // the response's body is the session's stream, which end closes
		if err != nil {
			return nil, errors.Join(fmt.Errorf("webtransport: %w", err), transport.Close())
		}
		end := sync.OnceFunc(func() {
			session.CloseWithError(0, "") //nolint:errcheck // it is over
			transport.Close()             //nolint:errcheck // it is over
		})
		stream, err := session.OpenStreamSync(ctx)
		if err != nil {
			end()
			return nil, fmt.Errorf("webtransport: %w", err)
		}
		return &conn{stream: stream, session: session, end: end, in: inbound{max: uint64(maxPayload)}}, nil
	}
}
