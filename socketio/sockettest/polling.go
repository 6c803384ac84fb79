package sockettest

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// polling is a client side of HTTP long-polling, revision 4. Its GETs and POSTs
// are sent by the goroutines that read and write.
type polling struct {
	client *http.Client
	uri    string // without sid at first
	header http.Header
	ctx    context.Context
	cancel context.CancelFunc

	pmu     sync.Mutex // one POST at a time
	pending [][]byte   // packets of the last answer; used by the reader only
}

func (p *polling) request(method string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(p.ctx, method, "http://memory"+p.uri, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range p.header {
		req.Header[k] = v
	}
	if body != nil {
		req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("sockettest: %s: %s: %s", method, resp.Status, answer)
	}
	return answer, err
}

func (p *polling) write(op byte, data []byte) error {
	p.pmu.Lock()
	defer p.pmu.Unlock()
	if op == opBinary {
		data = append([]byte("b"), base64.StdEncoding.EncodeToString(data)...)
	}
	_, err := p.request(http.MethodPost, data)
	return err
}

func (p *polling) read() (data []byte, isBinary bool, err error) {
	if len(p.pending) == 0 {
		answer, err := p.request(http.MethodGet, nil)
		if err != nil {
			return nil, false, err
		}
		p.pending = bytes.Split(answer, []byte{0x1e})
	}
	data, p.pending = p.pending[0], p.pending[1:]
	if len(data) > 0 && data[0] == 'b' {
		data, err = base64.StdEncoding.DecodeString(string(data[1:]))
		return data, true, err
	}
	if string(data) == "1" {
		return nil, false, io.EOF
	}
	return data, false, nil
}

func (p *polling) close() { p.cancel() }
