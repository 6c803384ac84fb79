// Package oidc is an OpenID Provider (docs/oidc.md): authorization code flow with PKCE,
// tokens, userinfo, introspection, revocation and logout, for applications that know
// "issuer, client id, client secret" and no Socket.IO. Tokens are made and hints are
// checked by package op of github.com/zitadel/oidc; this package keeps what is
// remembered, and decides what each endpoint answers.
//
// # One sign-in
//
// A sign-in is one record of a Store, from the authorization request to its last refresh
// token: see grant. Every step loads it, decides, and saves it with a compare-and-swap,
// which is one script in Redis. A code is therefore spent once however many replicas
// are asked, and any replica serves any step.
//
// Each secret that leaves the provider begins with the id of its record. The store sees
// the SHA-256 of that id as a key, and a value that is encrypted with a key derived from
// the id: a reader of Redis finds neither secrets nor persons.
//
// # What the caller brings
//
// The gateway shows the login page, signs the person in (Options.SignIn) and draws
// notices (Options.Notice). It also says when a sign-in is taken back: RevokeSignIn and
// RevokePerson.
//
// ChatCodes are another way to sign in to an application, on the same stores.
//
// The package starts no goroutine.
package oidc
