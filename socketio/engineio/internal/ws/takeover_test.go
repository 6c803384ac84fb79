package ws_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"posthouse/socketio/engineio/internal/ws"
)

func TestDeflateOptions_History_Offers(t *testing.T) {
	t.Parallel()
	for offer, want := range map[string]string{
		"permessage-deflate":                                                                          "permessage-deflate; client_no_context_takeover",
		"permessage-deflate; client_max_window_bits":                                                  "permessage-deflate; client_max_window_bits=13",
		"permessage-deflate; client_max_window_bits=10":                                               "permessage-deflate; client_max_window_bits=10",
		"permessage-deflate; client_max_window_bits=15; server_max_window_bits=9":                     "permessage-deflate; client_max_window_bits=13; server_max_window_bits=9",
		"permessage-deflate; client_max_window_bits; server_no_context_takeover":                      "permessage-deflate; server_no_context_takeover; client_max_window_bits=13",
		"permessage-deflate; client_no_context_takeover; client_max_window_bits":                      "permessage-deflate; client_no_context_takeover",
		"permessage-deflate; server_no_context_takeover":                                              "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
		"permessage-deflate; client_max_window_bits=16, permessage-deflate; client_max_window_bits=9": "permessage-deflate; client_max_window_bits=9",
	} {
		if _, answer := negotiated(t, &ws.DeflateOptions{History: ws.MaxHistory}, offer); answer != want {
			t.Errorf("offer %q: answer %q, want %q", offer, answer, want)
		}
	}
}

// contextPeer is a client that takes contexts over, with the full windows of zlib.
type contextPeer struct {
	t              *testing.T
	window         int    // of what it sends, as the answer of the server says
	sent, received []byte // what its compressed messages inflate to
}

func (p *contextPeer) frame(op ws.Opcode, message []byte) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriterDict(&b, 6, p.sent[max(0, len(p.sent)-p.window):])
	if err != nil {
		p.t.Fatal(err)
	}
	w.Write(message)
	w.Flush()
	p.sent = append(p.sent, message...)
	return frame{true, 4, op, bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))}.append(nil)
}

// read returns the message of one server frame, and whether it was compressed.
func (p *contextPeer) read(wire []byte) (message []byte, compressed bool) {
	head := 2
	switch wire[1] {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	if wire[0]&0x40 == 0 {
		return wire[head:], false
	}
	body := io.MultiReader(bytes.NewReader(wire[head:]), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))
	message, err := io.ReadAll(flate.NewReaderDict(body, p.received[max(0, len(p.received)-1<<15):]))
	if err != nil {
		p.t.Fatalf("after %d bytes: %v", len(p.received), err)
	}
	p.received = append(p.received, message...)
	return message, true
}

// Messages of all kinds and lengths, answers to them and broadcasts between, in one
// connection: whatever a message refers to is where the peer looks for it.
func TestDeflate_ContextTakeover_BothWaysInAnyMixture(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		offer   string
		history int
		window  int
	}{
		"8 KiB":               {"permessage-deflate; client_max_window_bits", 8192, 8192},
		"512 bytes":           {"permessage-deflate; client_max_window_bits", 512, 512},
		"window of the peer":  {"permessage-deflate; client_max_window_bits=10; server_max_window_bits=11", 8192, 1024},
		"server to peer only": {"permessage-deflate", 8192, 0},
		"peer to server only": {"permessage-deflate; server_no_context_takeover; client_max_window_bits=15", 4096, 4096},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(7, 7))
			d, _ := negotiated(t, &ws.DeflateOptions{Threshold: 64, History: c.history}, c.offer)
			e, peer := newEcho(&ws.Limits{MaxControl: 1 << 20}, d), &contextPeer{t: t, window: c.window}
			common := payload("json", 20000)
			for range 400 {
				kind := []string{"json", "json", "binary", "noise"}[rng.IntN(4)]
				message := payload(kind, 1+rng.IntN([]int{50, 1000, 5000, 20000}[rng.IntN(4)]))
				if at := rng.IntN(len(common) - 300); kind == "json" {
					message = append(message, common[at:at+300]...) // resembles earlier ones
				}
				if rng.IntN(4) == 0 {
					got, _ := peer.read(ws.NewFrame(ws.Binary, message).For(d))
					if !bytes.Equal(got, message) {
						t.Fatalf("a broadcast of %d bytes came as %d others", len(message), len(got))
					}
				}
				e.out = e.out[:0]
				if rng.IntN(3) == 0 {
					e.feed(frame{true, 0, ws.Binary, message}.append(nil))
				} else {
					e.feed(peer.frame(ws.Binary, message))
				}
				if e.err != nil {
					t.Fatal(e.err)
				}
				if got, _ := peer.read(e.out); !bytes.Equal(got, message) {
					t.Fatalf("%d bytes came back as %d others", len(message), len(got))
				}
			}
		})
	}
}

func TestDeflate_ContextTakeover_MakesWhatRepeatsSmall(t *testing.T) {
	t.Parallel()
	d, _ := negotiated(t, &ws.DeflateOptions{History: 8192}, "permessage-deflate")
	message := payload("json", 2000)
	first, second := len(d.AppendMessage(nil, ws.Text, message)), len(d.AppendMessage(nil, ws.Text, message))
	if second > 40 || first < 10*second {
		t.Errorf("the first time %d bytes, the second %d", first, second)
	}
}

// Bytes that the server has forgotten are an error, as are those that never were.
func TestDeflate_ContextTakeover_ReferenceBehindTheWindow(t *testing.T) {
	t.Parallel()
	d, _ := negotiated(t, &ws.DeflateOptions{History: 512}, "permessage-deflate; client_max_window_bits")
	e, peer := newEcho(nil, d), &contextPeer{t: t, window: 1 << 15}
	message := payload("noise", 600)
	e.feed(peer.frame(ws.Binary, message))
	if e.feed(peer.frame(ws.Binary, message[:50])); !errors.Is(e.err, ws.ErrDeflate) {
		t.Errorf("err = %v, want ErrDeflate", e.err)
	}
}
