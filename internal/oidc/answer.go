package oidc

import (
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// refusal is an OAuth error: a code and a sentence for the developer of the application.
type refusal struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// answerError writes an OAuth error as JSON.
func answerError(w http.ResponseWriter, status int, r refusal) { answerJSON(w, status, r) }

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}

// answerUnavailable says that the store or a key is away.
func answerUnavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "2")
	answerError(w, http.StatusServiceUnavailable, refusal{"temporarily_unavailable", "try again in a moment"})
}

func answerLimited(w http.ResponseWriter, code string, wait int) {
	w.Header().Set("Retry-After", strconv.Itoa(wait))
	answerError(w, http.StatusTooManyRequests, refusal{code, "too many tries; wait"})
}

func isHTTPS(u string) bool { return strings.HasPrefix(u, "https://") }

// destination is where the answer to an authorization request goes.
type destination struct {
	redirectURI string
	formPost    bool
	state       string
	hasState    bool
}

// send answers an authorization request with parameters, to which it adds state and iss
// (RFC 9207). The redirect URI was compared with those of the client before.
func (p *Provider) send(w http.ResponseWriter, to destination, params url.Values) {
	params.Set("iss", p.options.Issuer)
	if to.hasState {
		params.Set("state", to.state)
	}
	if to.formPost {
		sendForm(w, to.redirectURI, params)
		return
	}
	target := to.redirectURI
	switch {
	case !strings.Contains(target, "?"):
		target += "?"
	case !strings.HasSuffix(target, "?") && !strings.HasSuffix(target, "&"):
		target += "&"
	}
	w.Header().Set("Location", target+params.Encode()) // encoded: no parameter can end the line
	w.WriteHeader(http.StatusFound)
}

// sendError sends an OAuth error to the application.
func (p *Provider) sendError(w http.ResponseWriter, to destination, r refusal) {
	p.options.Count("authorize", r.Code)
	p.send(w, to, url.Values{"error": {r.Code}, "error_description": {r.Description}})
}

const (
	submitScript     = "document.forms[0].submit()"
	submitScriptHash = "sha256-ePniVEkSivX/c7XWBGafqh8tSpiRrKiqYeqbG7N1TOE="
)

var formPage = template.Must(template.New("form").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Posthouse</title></head>
<body><form method="post" action="{{.URI}}">
{{range $name, $values := .Params}}{{range $values}}<input type="hidden" name="{{$name}}" value="{{.}}">
{{end}}{{end}}<noscript><button>继续 / Continue</button></noscript></form>
<script>` + submitScript + `</script></body></html>
`))

// sendForm answers by a form that submits itself (response_mode=form_post).
func sendForm(w http.ResponseWriter, redirectURI string, params url.Values) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	// No form-action: browsers apply it to where the application redirects as well.
	h.Set("Content-Security-Policy", "default-src 'none'; script-src '"+submitScriptHash+"'; base-uri 'none'; frame-ancestors 'none'")
	_ = formPage.Execute(w, struct {
		URI    template.URL // one of the client's own, compared exactly
		Params url.Values
	}{template.URL(redirectURI), params}) // the browser may have gone
}
