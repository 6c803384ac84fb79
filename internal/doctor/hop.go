package doctor

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// hop is a kind of proxy.
type hop string

// The kinds whose settings the doctor knows, in the order in which directives are listed.
const (
	hopUnknown    hop = ""
	hopNginx      hop = "nginx"
	hopHAProxy    hop = "HAProxy"
	hopALB        hop = "ALB"
	hopCloudflare hop = "Cloudflare"
	hopTraefik    hop = "Traefik"
)

var allHops = []hop{hopNginx, hopHAProxy, hopALB, hopCloudflare, hopTraefik}

// blame names the hop for the report.
func (h hop) blame() string {
	if h == hopUnknown {
		return "a proxy between here and the server"
	}
	return string(h)
}

// hopOf recognizes a hop by an answer; hopUnknown when the answer does not tell.
func hopOf(header http.Header, body string) hop {
	server := strings.ToLower(header.Get("Server"))
	switch {
	case header.Get("Cf-Ray") != "" || server == "cloudflare":
		return hopCloudflare
	case strings.HasPrefix(server, "awselb"):
		return hopALB
	case strings.HasPrefix(server, "nginx"), strings.HasPrefix(server, "openresty"):
		return hopNginx
	case strings.HasPrefix(server, "traefik"):
		return hopTraefik
	}
	switch text := strings.TrimSpace(body); {
	case strings.Contains(text, "<center>nginx") || strings.Contains(text, "<center>openresty"):
		return hopNginx
	case strings.HasPrefix(text, "<html><body><h1>") && strings.HasSuffix(text, "</body></html>") && server == "":
		return hopHAProxy
	}
	for _, cookie := range header.Values("Set-Cookie") {
		if strings.HasPrefix(cookie, "AWSALB") {
			return hopALB
		}
	}
	return hopUnknown
}

// noticeHop remembers the hop that an answer shows.
func (w *walk) noticeHop(header http.Header, body string) {
	if w.hop == hopUnknown {
		w.hop = hopOf(header, body)
	}
}

// probeHop sends a request that is none: the hop in front answers it by itself, in its own
// words, whatever is behind.
func (w *walk) probeHop(ctx context.Context) {
	conn, err := w.target.dial(ctx, "http/1.1")
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerTimeout))
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+w.target.site.Host+"\r\nnot a header\r\n\r\n"); err != nil {
		return
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<10)) // what came tells enough
	w.noticeHop(resp.Header, string(body))
}
