package oidc

import (
	"net/http"
)

// serveDiscovery is OpenID Connect Discovery: only what is true.
func (p *Provider) serveDiscovery(w http.ResponseWriter, r *http.Request) {
	algorithms, err := p.keys.algorithms(r.Context())
	if err != nil {
		p.logFault("discovery", err)
		answerUnavailable(w)
		return
	}
	languages := make([]string, len(Languages))
	for i, tag := range Languages {
		languages[i] = tag.String()
	}
	at := func(path string) string { return p.options.Issuer + path }
	secret := []string{"client_secret_basic", "client_secret_post"}
	anyClient := []string{"client_secret_basic", "client_secret_post", "none"}
	w.Header().Del("Pragma")
	w.Header().Set("Cache-Control", "max-age=3600")
	answerJSON(w, http.StatusOK, map[string]any{
		"issuer":                                         p.options.Issuer,
		"authorization_endpoint":                         at(pathAuthorize),
		"token_endpoint":                                 at(pathToken),
		"userinfo_endpoint":                              at(pathUserinfo),
		"jwks_uri":                                       at(pathJWKS),
		"revocation_endpoint":                            at(pathRevoke),
		"introspection_endpoint":                         at(pathIntrospect),
		"end_session_endpoint":                           at(pathEndSession),
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query", "form_post"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token"},
		"subject_types_supported":                        []string{"public"},
		"code_challenge_methods_supported":               []string{"S256"},
		"token_endpoint_auth_methods_supported":          anyClient,
		"revocation_endpoint_auth_methods_supported":     anyClient,
		"introspection_endpoint_auth_methods_supported":  secret,
		"id_token_signing_alg_values_supported":          algorithms,
		"scopes_supported":                               Scopes,
		"claims_supported":                               claimsSupported,
		"claim_types_supported":                          []string{"normal"},
		"acr_values_supported":                           []string{authMethod},
		"prompt_values_supported":                        []string{"none", "login"},
		"ui_locales_supported":                           languages,
		"claims_parameter_supported":                     false,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
		"authorization_response_iss_parameter_supported": true,
	})
}

var claimsSupported = []string{
	"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "at_hash",
	"nickname", "picture", "locale", "appid", "openid", "unionid",
}
