package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// checkDNS resolves the host.
func (w *walk) checkDNS(ctx context.Context) bool {
	host := w.target.site.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		w.skip("dns", "%s is an address", host)
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		w.failAt("dns", "DNS", []string{"DNS: an A, AAAA or CNAME record for " + host}, "%s", plain(err))
		return false
	}
	w.ok("dns", "%s", clip(strings.Join(addrs, ", ")))
	return true
}

// certificateWarning is how long before its end a certificate is worth a word.
const certificateWarning = 14 * 24 * time.Hour

// checkTLS judges the certificate as a browser does.
func (w *walk) checkTLS(ctx context.Context) bool {
	if w.target.site.Scheme == "http" {
		w.skip("tls", "plain HTTP")
		return true
	}
	conn, err := w.target.dial(ctx, "h2", "http/1.1")
	if err != nil {
		if opError, ok := errors.AsType[*net.OpError](err); ok && opError.Op == "dial" {
			w.failConnect("tls", err)
			return false
		}
		w.results["tls"] = Check{
			Result: Fail, Seen: certificateFault(err), Blame: "the hop that ends TLS",
			Settings: w.hop.settings(faultCertificate, w.open),
		}
		return false
	}
	defer conn.Close()
	state := conn.(*tls.Conn).ConnectionState() // dial made it
	expires := state.PeerCertificates[0].NotAfter
	warning := ""
	if left := time.Until(expires); left < certificateWarning {
		warning = "; renew it soon"
	}
	w.ok("tls", "%s, valid until %s%s", tls.VersionName(state.Version), expires.UTC().Format(time.DateOnly), warning)
	return true
}

// certificateFault says what is wrong with a certificate.
func certificateFault(err error) string {
	verification, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok {
		return plain(err)
	}
	leaf := verification.UnverifiedCertificates[0]
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		if len(verification.UnverifiedCertificates) == 1 && leaf.Issuer.String() != leaf.Subject.String() {
			return "the chain is incomplete: the certificate of " + clip(leaf.Issuer.String()) + " is not sent"
		}
		return "no browser knows the issuer, " + clip(leaf.Issuer.String())
	}
	if time.Now().After(leaf.NotAfter) {
		return "the certificate ended on " + leaf.NotAfter.UTC().Format(time.DateOnly)
	}
	return plain(verification.Err)
}

func (w *walk) failConnect(name string, err error) {
	w.failAt(name, "the host, its firewall or the hop that listens there",
		[]string{"nginx: listen", "HAProxy: bind", "ALB: listener and security group", "Cloudflare: DNS record proxied", "Traefik: entryPoints.<name>.address"},
		"%s: %s", w.target.address(), plain(err))
}

// checkHTTP asks for something that every Engine.IO server refuses by itself.
func (w *walk) checkHTTP(ctx context.Context) bool {
	const query = "EIO=4&transport=doctor"
	a, err := w.ask(ctx, w.target.kept, http.MethodGet, w.target.url(query), "", nil)
	if err != nil {
		if opError, ok := errors.AsType[*net.OpError](err); ok && opError.Op == "dial" {
			w.failConnect("http", err)
			return false
		}
		w.probeHop(ctx)
		w.fail("http", faultPath, "%s%s: %s", w.target.address(), w.target.path, plain(err))
		return false
	}
	w.noticeHop(a.header, a.body)
	w.probeHop(ctx)
	switch {
	case a.status >= 300 && a.status < 400:
		w.fail("http", faultPath, "a redirect to %s: clients of Socket.IO do not follow it with a POST; use that URL", clip(a.header.Get("Location")))
		return false
	case a.status >= 502 && a.status <= 504 || a.status >= 520 && a.status <= 530:
		w.fail("http", faultUnreachable, "%s: the hop in front does not reach the server", a)
		return false
	}
	version, err := w.checkHTTP2(ctx, query)
	if err != nil {
		w.failAt("http", w.hop.blame(), []string{"nginx: http2 off", "HAProxy: bind ... alpn http/1.1", "ALB: routing.http2.enabled=false",
			"Cloudflare: HTTP/2 off", "Traefik: tls.options.<name>.alpnProtocols"}, "HTTP/2 is offered and does not answer: %s", plain(err))
		return false
	}
	front := ""
	if w.hop != hopUnknown {
		front = ", " + string(w.hop) + " in front"
	}
	w.ok("http", "%s%s", version, front)
	return true
}

// checkHTTP2 asks again by HTTP/2 where TLS offers it: browsers prefer that.
func (w *walk) checkHTTP2(ctx context.Context, query string) (version string, err error) {
	if w.target.site.Scheme == "http" {
		return "HTTP/1.1", nil
	}
	conn, err := w.target.dial(ctx, "h2", "http/1.1")
	if err != nil {
		return "", err
	}
	agreed := conn.(*tls.Conn).ConnectionState().NegotiatedProtocol // dial made it
	conn.Close()
	if agreed != "h2" {
		return "HTTP/1.1, no HTTP/2", nil
	}
	client := w.target.client(&http.Transport{ForceAttemptHTTP2: true})
	defer client.CloseIdleConnections()
	if _, err := w.ask(ctx, client, http.MethodGet, w.target.url(query), "", nil); err != nil {
		return "", err
	}
	return "HTTP/1.1 and HTTP/2", nil
}
