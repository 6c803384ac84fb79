package gateway

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"posthouse/internal/login"
	"posthouse/internal/origin"
)

// safeReturn returns the wanted address of a redirect in its clean form, when it is a
// path of this origin or lies below an allowed URL, and "" otherwise: anything else
// would be an open redirect.
func (p *pages) safeReturn(want string) string {
	target, ok := parseReturn(want)
	if !ok {
		return ""
	}
	if !target.hasOrigin {
		return target.cleanPath + target.queryAndFragment
	}
	for _, allowed := range p.returnTo {
		if prefix, ok := parseReturn(allowed); ok && prefix.hasOrigin && target.pageOrigin == prefix.pageOrigin && isBelow(target.cleanPath, prefix.cleanPath) {
			return target.pageOrigin.String() + target.cleanPath + target.queryAndFragment
		}
	}
	return ""
}

// linkFault says why a link to the login page would sign a person in nowhere ("" when it
// does). Without a challenge the token stays in the gateway's origin, which an application
// on another origin cannot read (docs/login.md §5).
func (p *pages) linkFault(r *http.Request, returnTo, challenge string) string {
	if challenge != "" {
		switch {
		case returnTo == "":
			return "challenge needs a returnTo that POSTHOUSE_RETURN_TO allows"
		case !login.ValidChallenge(challenge):
			return "challenge must be 43 characters of base64url: the SHA-256 of the application's verifier"
		}
		return ""
	}
	target, ok := parseReturn(returnTo)
	if ok && target.hasOrigin && !target.pageOrigin.Same(p.originPolicy.requestedHost(r)) {
		return "returnTo on another origin needs challenge, or the application cannot learn of the login; a client of docs/oidc.md does without both"
	}
	return ""
}

// logBadLink tells the operator what to change in an application's link. The link itself
// stays out of the log: it may carry secrets of the application.
func (p *pages) logBadLink(fault string) {
	if held, ok := p.badLinks.Allow(fault); ok && p.log != nil {
		p.log.Warn("gateway: a link to the login page was refused", "fix", fault, "held", held)
	}
}

// cleanReturnPrefix brings one of POSTHOUSE_RETURN_TO into its clean form.
func cleanReturnPrefix(s string) (string, bool) {
	s = strings.TrimSpace(s)
	target, ok := parseReturn(s)
	if !ok || !target.hasOrigin || target.queryAndFragment != "" || strings.Contains(s, "/.") || strings.Contains(s, "%") {
		return "", false
	}
	return target.pageOrigin.String() + target.cleanPath, true
}

// returnTarget is where a login may lead.
type returnTarget struct {
	hasOrigin        bool // it has an origin; otherwise it is a path of ours
	pageOrigin       origin.Origin
	cleanPath        string // clean and escaped, begins with one slash
	queryAndFragment string // query and fragment, with their marks
}

// parseReturn reads an http or https URL, or a path, as browsers do. It refuses what
// browsers correct on the way, so that nothing means another thing to them: control
// characters, spaces, backslashes, missing slashes behind the scheme.
func parseReturn(s string) (t returnTarget, ok bool) {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f || c == '\\' {
			return t, false
		}
	}
	rest := s
	if scheme, after, found := strings.Cut(s, "://"); found && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")) {
		end := strings.IndexAny(after, "/?#")
		if end < 0 {
			end = len(after)
		}
		var err error
		if t.pageOrigin, err = origin.Parse(scheme + "://" + after[:end]); err != nil {
			return t, false
		}
		t.hasOrigin, rest = true, after[end:]
		if rest == "" || rest[0] != '/' {
			rest = "/" + rest
		}
	}
	end := strings.IndexAny(rest, "?#")
	if end < 0 {
		end = len(rest)
	}
	t.queryAndFragment = rest[end:]
	t.cleanPath, ok = cleanPath(rest[:end])
	return t, ok
}

// cleanPath removes the dot segments of an escaped path, in any spelling that browsers
// know. A result that begins with two slashes would be another host.
func cleanPath(escaped string) (clean string, ok bool) {
	if !strings.HasPrefix(escaped, "/") {
		return "", false
	}
	if decoded, err := url.PathUnescape(escaped); err != nil || strings.ContainsFunc(decoded, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", false
	}
	segments := strings.Split(escaped[1:], "/")
	kept := segments[:0:0]
	for i, s := range segments {
		switch strings.ReplaceAll(strings.ToLower(s), "%2e", ".") {
		case ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, s)
			continue
		}
		if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	clean = "/" + strings.Join(kept, "/")
	return clean, !strings.HasPrefix(clean, "//")
}

// isBelow reports whether a clean path is that of prefix or lies below it, also for a
// server that decodes escaped slashes and dots, once or twice, before it looks.
func isBelow(clean, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	for range 3 {
		if clean != prefix && !strings.HasPrefix(clean, prefix+"/") {
			return false
		}
		decoded, err := url.PathUnescape(clean)
		if err != nil {
			return false
		}
		clean = path.Clean("/" + strings.ReplaceAll(decoded, `\`, "/"))
	}
	return true
}
