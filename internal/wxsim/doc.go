// Package wxsim is a local WeChat: the half of the Official Account platform
// that a follow-to-login gateway talks to, small enough to run inside a test
// and true enough that code which works here works there.
//
// It is for two readers. A developer without a WeChat account runs it beside
// the gateway (or inside it, under /sim) and clicks on the phone page; a test
// drives the same people over HTTP and reads what happened from the log.
//
// It imitates access tokens and their two families, QR codes with
// scenes, quotas and error codes; message pushes in plain, compat and secure
// mode with WeChat's five seconds, three deliveries and one-minute penalty; and
// a verdict on every answer. Faults can be switched on for each of these.
// The signatures and the cipher are written for this package alone: a mistake
// in the gateway's own code must not be able to hide behind the same mistake
// here.
//
// Routes below the prefix ("/sim"). The API side, /cgi-bin/…, answers as
// api.weixin.qq.com and mp.weixin.qq.com do. People are driven by JSON:
//
//	POST /scan      {person, ticket|scene|url, follow?}   camera; a stranger causes nothing unless he follows
//	POST /follow    {person}      the follow page of the last scan, else from the search
//	POST /unfollow  {person}
//	POST /text      {person, text}
//	POST /menu      {person, key|url}
//	POST /location  {person, latitude, longitude}
//	POST /message   {person, type}                        image, voice, video, shortvideo, location, link
//	POST /event     {person, event, fields?}              any other event; known ones have WeChat's fields
//	POST /people    {person, follows?}                    how things stood before; nothing is pushed
//	GET  /log       ?limit=&person=&event=&since=         pushes, newest first; DELETE clears
//	GET  /stats     how callbacks answered: counts, p50, p99, max; DELETE resets
//	POST /faults    {rules, seed?} replaces all, one rule is added; GET lists, DELETE ?kind= removes
//	POST /clock     ?advance=2h                           the platform's time goes on; GET reads it
//	PATCH /settings {timeoutMs, deliveries, retryPauseMs, markFail, markFailWindowMs, markFailPauseMs}; GET reads
//	POST /accounts, PATCH /accounts/{id}, POST /accounts/{id}/kill-tokens, POST /accounts/{id}/verify
//	GET  /          the phone page; also /phone and /q/{id}, which QR codes hold
//
// All take "account" (appid or original id; default the first). Errors are
// {error} with 400, 404 for unknown and expired codes, 403 for strangers.
//
// Goroutines: New starts none. A push runs on the goroutine of the request
// that caused it (a scan answers after its push was answered); only the late
// copies of a duplicate fault run on their own, owned by the Sim, which
// [Sim.Close] stops and waits for. [Serve] owns the server it starts.
//
// One mutex, Sim.mu, guards all state. It is never held during network calls.
package wxsim
