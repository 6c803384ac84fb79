package oidc

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
	"golang.org/x/text/language"
)

// parameters of an authorization request that may occur once. Others are ignored.
var authorizeParameters = []string{
	"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "prompt", "max_age",
	"ui_locales", "login_hint", "id_token_hint", "code_challenge", "code_challenge_method", "request", "request_uri",
	"registration", "display", "acr_values", "claims",
}

// Languages of the login page, the first being the default.
var Languages = []language.Tag{language.English, language.MustParse("zh-CN")}

var languageMatcher = language.NewMatcher(Languages)

// wish is an authorization request whose client and redirect URI are known to be good.
type wish struct {
	client    *Client
	to        destination
	scopes    []string
	nonce     string
	challenge string
	none      bool // prompt=none
	login     bool // prompt=login
	maxAge    time.Duration
	hasMaxAge bool
	locale    string
	hint      string // the subject of id_token_hint
}

func (p *Provider) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		p.options.Count("authorize", "bad_request")
		p.options.Notice(w, r, http.StatusBadRequest, Notice{Word: WordBadApp})
		return
	}
	q, ok := p.target(r.Form)
	if !ok {
		p.options.Count("authorize", "bad_client")
		p.options.Notice(w, r, http.StatusBadRequest, Notice{Word: WordBadApp})
		return
	}
	if bad := p.readWish(r, &q); bad != nil {
		p.sendError(w, q.to, *bad)
		return
	}
	if q.client.Account == "" { // the configuration is checked at the start
		p.sendError(w, q.to, refusal{"server_error", "the client has no account"})
		return
	}
	p.answerWish(w, r, &q)
}

// target finds the client and compares the redirect URI. Before both are good nothing is
// sent anywhere.
func (p *Provider) target(form url.Values) (q wish, ok bool) {
	if len(form["client_id"]) != 1 || len(form["redirect_uri"]) != 1 {
		return q, false
	}
	q.client = p.clients[form.Get("client_id")]
	if q.client == nil || !slices.Contains(q.client.RedirectURIs, form.Get("redirect_uri")) {
		return q, false
	}
	q.to = destination{redirectURI: form.Get("redirect_uri")}
	if states := form["state"]; len(states) == 1 {
		q.to.state, q.to.hasState = states[0], true
	}
	return q, true
}

// readWish reads the rest of a request. What is wrong with it goes to the application.
func (p *Provider) readWish(r *http.Request, q *wish) *refusal {
	form := r.Form
	invalid := func(description string) *refusal { return &refusal{"invalid_request", description} }
	for _, name := range authorizeParameters {
		if len(form[name]) > 1 {
			return invalid(name + " occurs more than once")
		}
	}
	switch form.Get("response_mode") {
	case "", "query":
	case "form_post":
		q.to.formPost = true
	default:
		return invalid("response_mode is query or form_post")
	}
	switch {
	case form.Has("request"):
		return &refusal{"request_not_supported", "request objects are not supported"}
	case form.Has("request_uri"):
		return &refusal{"request_uri_not_supported", "request objects are not supported"}
	case form.Has("registration"):
		return &refusal{"registration_not_supported", "clients are registered by the operator"}
	case form.Get("response_type") == "":
		return invalid("response_type is missing")
	case form.Get("response_type") != "code":
		return &refusal{"unsupported_response_type", "response_type is code"}
	}
	q.scopes = q.client.allowed(strings.Fields(form.Get("scope")))
	if !slices.Contains(q.scopes, oidc.ScopeOpenID) {
		return &refusal{"invalid_scope", "scope must contain openid"}
	}
	q.nonce = form.Get("nonce")
	if bad := readChallenge(form, q); bad != nil {
		return bad
	}
	if bad := readPrompt(form, q); bad != nil {
		return bad
	}
	if want := strings.Fields(form.Get("ui_locales")); len(want) > 0 {
		if _, i, confidence := languageMatcher.Match(oidc.ParseLocales(want)...); confidence > language.No {
			q.locale = Languages[i].String()
		}
	}
	if hint := form.Get("id_token_hint"); hint != "" {
		claims, err := p.readHint(r, hint)
		if err != nil {
			return invalid("id_token_hint is not a token of this issuer")
		}
		q.hint = claims.Subject
	}
	return nil
}

// readChallenge reads PKCE. Only S256 is accepted; public clients must use it.
func readChallenge(form url.Values, q *wish) *refusal {
	q.challenge = form.Get("code_challenge")
	method := form.Get("code_challenge_method")
	if q.challenge == "" {
		switch {
		case form.Has("code_challenge"), method != "":
			return &refusal{"invalid_request", "code_challenge is missing"}
		case q.client.isPublic():
			return &refusal{"invalid_request", "a client without a secret must use PKCE: code_challenge is missing"}
		}
		return nil
	}
	if method != "S256" {
		return &refusal{"invalid_request", "code_challenge_method must be S256"}
	}
	if raw, err := base64.RawURLEncoding.Strict().DecodeString(q.challenge); err != nil || len(raw) != 32 {
		return &refusal{"invalid_request", "code_challenge is no base64url of a SHA-256"}
	}
	return nil
}

func readPrompt(form url.Values, q *wish) *refusal {
	prompts := strings.Fields(form.Get("prompt"))
	for _, prompt := range prompts {
		switch prompt {
		case "none":
			q.none = true
		case "login", "select_account":
			q.login = true
		case "consent": // there is no consent page
		default:
			return &refusal{"invalid_request", "prompt is none or login"}
		}
	}
	if q.none && len(prompts) > 1 {
		return &refusal{"invalid_request", "prompt=none stands alone"}
	}
	if text := form.Get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return &refusal{"invalid_request", "max_age is a number of seconds"}
		}
		q.maxAge, q.hasMaxAge = time.Duration(seconds)*time.Second, true
	}
	return nil
}

// answerWish answers at once where the browser is signed in, and else leads to the login
// page.
func (p *Provider) answerWish(w http.ResponseWriter, r *http.Request, q *wish) {
	known, err := p.sessionFor(r, q)
	if err != nil {
		p.failAuthorize(w, q.to, err)
		return
	}
	if known == nil && q.none {
		p.sendError(w, q.to, refusal{"login_required", "nobody is signed in"})
		return
	}
	if take := p.options.Requests.Take; take != nil {
		if wait := take(r); wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(wait))
			p.options.Notice(w, r, http.StatusTooManyRequests, Notice{Word: WordLimited, App: q.client.Name})
			return
		}
	}
	id := randomBytes(idSize)
	request := newSecret(id)
	browser := p.knowBrowser(w, r)
	g, err := p.grants.create(r.Context(), id, func(now time.Time) (grant, time.Duration) {
		g := grant{
			Stage: stageRequest, ClientID: q.client.ID, Browser: browser, RequestHash: hashOf(kindRequest, request),
			RedirectURI: q.to.redirectURI, FormPost: q.to.formPost, State: q.to.state, HasState: q.to.hasState,
			Nonce: q.nonce, Challenge: q.challenge, Scopes: q.scopes, Locale: q.locale, HintSubject: q.hint,
			LoginProof: encode(randomBytes(secretSize)),
		}
		if known != nil {
			g.Stage, g.Identity = stageDone, *known
		}
		return g, requestLife
	})
	if err != nil {
		p.failAuthorize(w, q.to, err)
		return
	}
	if known != nil {
		p.giveCode(w, r, id, &g)
		return
	}
	p.options.Count("authorize", "login")
	w.Header().Set("Location", loginPath+request)
	w.WriteHeader(http.StatusFound)
}

// failAuthorize tells the application that the store is away.
func (p *Provider) failAuthorize(w http.ResponseWriter, to destination, err error) {
	p.logFault("authorize", err)
	p.sendError(w, to, refusal{"temporarily_unavailable", "try again in a moment"})
}

// readHint reads an ID token of this issuer, which may have expired.
func (p *Provider) readHint(r *http.Request, hint string) (*oidc.IDTokenClaims, error) {
	verifier := op.NewIDTokenHintVerifier(p.options.Issuer, publishedKeys{p},
		op.WithSupportedIDTokenHintSigningAlgorithms("RS256", "ES256", "EdDSA"))
	claims, err := op.VerifyIDTokenHint[*oidc.IDTokenClaims](r.Context(), hint, verifier)
	if expired := (op.IDTokenHintExpiredError{}); errors.As(err, &expired) {
		err = nil
	}
	return claims, err
}
