package socketio

import (
	"net/http"
	"testing"
)

// BenchmarkOpening is what keeping a handshake costs a new connection.
func BenchmarkOpening(b *testing.B) {
	r, _ := http.NewRequest("GET", "http://example.test/socket.io/?EIO=4&transport=websocket", nil)
	for name, value := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Origin": "http://example.test", "Sec-Websocket-Version": "13",
		"Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Accept-Encoding": "gzip, deflate, br", "Accept-Language": "en",
		"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
	} {
		r.Header.Set(name, value)
	}
	b.ReportAllocs()
	for b.Loop() {
		newOpening(r, "192.0.2.1")
	}
}
