package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"posthouse/internal/testenv"
	"posthouse/socketio/client"
)

// pushAbuses are hostile pushes (docs/reliability.md §4 rows 29 to 33).
var pushAbuses = []row{{
	id: "29", name: "forged pushes", does: "the local WeChat signs wrongly in every way; requests without, with short and with wrong signatures",
	bar: "403 with an empty body, all alike; nobody is logged in", guards: "a signature is checked before anything is opened", short: 1, rig: rig{replicas: 1},
	tests: []goTests{{"./callback", "TestPush_EveryForgedPush|TestPush_PlainAccountTakesNo|TestPush_PlainQueryCarriesOneBody"}},
	run: func(s *stage) {
		now := fmt.Sprint(time.Now().Unix())
		var table []attack
		for _, query := range []string{"", "signature=", "signature=x&timestamp=" + now + "&nonce=1", "msg_signature=" + strings.Repeat("0", 40) + "&timestamp=" + now + "&nonce=1",
			"signature=" + strings.Repeat("a", 40) + "&timestamp=" + now + "&nonce=1&encrypt_type=aes"} {
			table = append(table, attack{name: "push with " + query, method: "POST", path: "/callback/wechat?" + query, body: "<xml><Encrypt>AAAA</Encrypt></xml>", want: []int{403}})
		}
		s.attacks(table)
		for _, kind := range []string{"bad_signature", "bad_msg_signature", "stale", "foreign_appid"} {
			s.faults(map[string]any{"kind": kind})
			t := s.open(1)[0]
			for _, d := range s.scanOne(t) {
				s.must(d.Status == 403 || kind == "bad_signature", "%s: a push was answered %d (%s)", kind, d.Status, d.Verdict)
			}
			if kind != "bad_signature" {
				s.pause(500 * time.Millisecond)
				s.must(t.received.Load() == 0, "%s: a token came", kind)
			}
			s.ledger.note(func() { t.login.end = "forged" })
		}
	},
}, {
	id: "30", name: "pushes that are replayed", does: "pushes seen before, with the nonce and with another one, at the same and at another replica",
	bar: "`success`, no effect", guards: "a push is known by its message and its nonce", tests: []goTests{{"./callback", "TestPush_ReplaysAreRefused|TestPush_TimestampOutside"}},
}, {
	id: "31", alone: true, name: "push flood", does: "2000 forged pushes while codes are scanned", bar: "403, 429 or 503; logins and sockets are unaffected",
	guards: "forged pushes do not use up WeChat's budget", logins: 30, rig: rig{replicas: 1, env: strict[len(strict)-2:]},
	tests: []goTests{{"./callback", "TestPush_Flood|TestPush_BulkheadIsBounded|TestPush_BodyOver64KiBIs413"}},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		var statuses [600]atomic.Int64
		flooding := make(chan struct{})
		go func() { // ends with the flood; waited for below
			defer close(flooding)
			for range 2000 {
				if a, err := s.send(s.cluster.Bases[0], attack{method: "POST", path: "/callback/wechat?signature=x", body: "<xml/>"}); err == nil {
					statuses[a.status].Add(1)
				}
			}
		}()
		p99 := s.bystanders(5, func() {
			s.each(tabs, 4, func(t *tab) { s.scanOne(t) })
			<-flooding
		})
		s.figure("forged pushes: %d × 403, %d × 429, %d × 503", statuses[403].Load(), statuses[429].Load(), statuses[503].Load())
		s.must(statuses[403].Load()+statuses[429].Load()+statuses[503].Load() == 2000, "other answers came")
		s.must(p99 < s.slack(100*time.Millisecond), "bystanders' p99 %v", round(p99))
	},
}, {
	id: "32", name: "hostile XML", does: "entities, DOCTYPE, depth, attributes, charsets, two ciphertexts, lengths that lie", bar: "400 for DOCTYPE, `success` and a line for what cannot be read; no panic",
	guards: "a DOCTYPE is refused", tests: []goTests{{"./callback", "TestPush_Unreadable"}, {"./internal/wechat", "TestPushesAreReadStrictly|TestBrokenEnvelopesStayShut|TestParse_|TestReceiver_"}},
}, {
	id: "33", name: "an openid in the query", does: "pushes with `openid` and `ToUserName` of another", bar: "the identity is that of the signed message", guards: "no identity from the query",
	tests: []goTests{{"./callback", "TestPush_OpenIDOfTheQueryIsIgnored|TestPush_ForAnotherAccountIsRefused"}},
}}

// loginAbuses are attacks on logins (docs/reliability.md §4 rows 34 to 41).
var loginAbuses = []row{{
	id: "34", name: "tickets and secrets are guessed", does: "a thousand guesses over sockets of the built gateway at tickets that are shown; a million by tests",
	bar: "nothing is found; the ticket alone gives nothing", guards: "`resume` needs the secret", logins: 10, short: 5, rig: rig{replicas: 1},
	tests: []goTests{{"./internal/login", "TestService_TicketAloneGivesNothing|TestService_GuessesFindNothing"}},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		found := 0
		for i, t := range tabs {
			thief, err := client.Dial(s.Context(), s.gateways[0]+"/login", &client.Options{Transports: []string{"websocket"}, NoReconnect: true})
			s.need(err)
			t.mu.Lock()
			ticket, secret := t.ticket, t.resume
			t.mu.Unlock()
			for j := range 8 {
				guess := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{byte(i), byte(j)}, 16))
				if j == 7 {
					guess = strings.ToUpper(secret)
				}
				answer, err := client.Call[struct {
					State string
					Error *failure
				}](s.Context(), thief, "resume", map[string]string{"ticket": ticket, "resume": guess})
				if err != nil || answer.Error == nil {
					found++
				}
			}
			s.need(thief.Manager().Close())
		}
		s.figure("%d guesses, %d found something", 8*len(tabs), found)
		s.must(found == 0, "%d guesses were answered without an error", found)
		s.scan(tabs)
	},
}, {
	id: "35", name: "QR codes are farmed", does: "one socket and one address ask for codes without end; the day's quota", bar: "429 with a time; the same code while it lives",
	guards: "codes have rates", rig: rig{replicas: 1, env: strict}, tests: []goTests{{"./gateway", "TestLogin_QRCodes|TestQRCodeIsReusedWhileItLives|TestQRCode_"}},
	run: func(s *stage) {
		c, err := client.Dial(s.Context(), s.cluster.Bases[0]+"/login", &client.Options{Transports: []string{"websocket"}, NoReconnect: true})
		s.need(err)
		defer func() { _ = c.Manager().Close() }()
		made, refused, same, began := map[string]bool{}, 0, 0, time.Now()
		for i := range 16 {
			answer, err := client.Call[struct {
				Ticket string
				Error  *failure
			}](s.Context(), c, "qrcode", map[string]any{"refresh": i%4 != 0})
			s.need(err)
			switch {
			case answer.Error != nil:
				refused++
			case made[answer.Ticket]:
				same++
			default:
				made[answer.Ticket] = true
			}
			s.pause(250 * time.Millisecond)
		}
		s.figure("16 asks: %d codes made, %d times the same, %d refused", len(made), same, refused)
		most := 6 + int(time.Since(began)/(10*time.Second)) // 6/m: one more every ten seconds
		s.must(len(made) <= most, "%d codes made, %d refused", len(made), refused)
	},
}, {
	id: "36", name: "tokens are looked for in Redis and in logs", does: "everything that two built replicas write, under a thousand logins", bar: "0 JWTs, openids and secrets",
	guards: "no token passes through Redis", tests: []goTests{{"./internal/interop/gateway", "TestGateway_NoSecretInAThousandLogins"}, {"./gateway", "TestLogin_NoTokenPassesThroughRedis"}},
}, {
	id: "37", name: "a one-time code is used twice", does: "exchanges with used, expired and unknown codes and wrong verifiers", bar: "401, one answer for all",
	guards: "a code is spent by its first exchange", tests: []goTests{{"./gateway", "TestLoginHTTP_ExchangeNeedsTheBrowsersProof"}, {"./internal/login", "TestService_Exchange_CodeIsSingleUse"}},
}, {
	id: "38", name: "the attacker's code is shown to a victim", does: "scans without the number, `not me`", bar: "no token without confirmation; a revoked one is known ≤ 2 s",
	guards: "a claim waits for its number", tests: []goTests{{"./callback", "TestConfirm|Confirm|Risk"}, {"./internal/login", "Confirm"}, {"./gateway", "TestLogin_RevokedTokenIsKnownWithinTwoSeconds"}},
}, {
	id: "39", name: "login CSRF", does: "exchanges from another origin", bar: "403; the token only to the socket with the secret", guards: "an exchange is same-origin",
	tests: []goTests{{"./gateway", "TestLogin_ExchangeFromAForeignOriginIsRefused"}},
}, {
	id: "40", name: "races: cancel against scan, two claims", does: "every interleaving of claims, results and cancels, in memory and in Redis", bar: "one winner",
	guards: "a step is atomic in the store", tests: []goTests{{"./internal/login", "TestService_Cancel_AgainstScanHasOneWinner|TestModel|Model"}},
}, {
	id: "41", name: "somebody else writes to Redis", does: "garbage on every channel of a running cluster while codes are scanned; forged relay entries",
	bar: "ignored and counted; 0 lost; no panic; nothing is sent to foreign hosts", guards: "an entry without a good code is not believed", logins: 60, rig: rig{},
	tests: []goTests{{"./adapter", "TestAdapters_SenselessMessages|TestRelay_EntryThatNoReplicaSigned|TestRelay_AddressWithoutProof|TestMessages_PanicInOne"}},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		channels := []string{"socket.io#/login#", "socket.io#/#", "socket.io-request#/login#", "socket.io-response#/login#"}
		channels = append(channels, strings.Fields(s.redisCommand("PUBSUB", "CHANNELS"))...)
		sent := 0
		for _, channel := range channels {
			for _, text := range []string{"", "x", "{}", "[]", `{"type":99,"uid":"x"}`, "\xdd\xff\xff\xff\xff", "\x93\xa1x", strings.Repeat("\x91", 5000), `{"type":3,"requestId":"` + strings.Repeat("a", 5000) + `"}`} {
				s.redisCommand("PUBLISH", channel, text)
				sent++
			}
		}
		s.scan(tabs)
		s.figure("%d messages on %d channels", sent, len(channels))
	},
}}

// exposureAbuses are what strangers may see (docs/reliability.md §4 rows 42 to 45).
var exposureAbuses = []row{{
	id: "42", name: "log lines and metric labels made by clients", does: "odd paths, headers, namespaces and events; the series are counted", bar: "one escaped line; ≤ 200 new series",
	guards: "labels come from closed sets", rig: rig{replicas: 1}, tests: []goTests{{"./gateway", "TestMetrics_Series_AreBounded|TestMetrics_ForeignLabels"}, {"./callback", "TestMetrics_LabelsComeFromClosedSets"}},
	run: func(s *stage) {
		before := len(s.metrics(0))
		for i := range 200 {
			_, _ = s.send(s.cluster.Bases[0], attack{path: fmt.Sprintf("/socket.io/?EIO=%d&transport=t%d", i, i), header: []string{fmt.Sprintf("Origin: https://e%d.example", i), "User-Agent: a\tb"}})
			_, _ = s.send(s.cluster.Bases[0], attack{method: "POST", path: fmt.Sprintf("/callback/wechat/account%d", i)})
		}
		grown := len(s.metrics(0)) - before
		s.figure("400 odd requests made %d series", grown)
		s.must(grown <= 60, "%d series", grown)
		for _, line := range strings.Split(s.cluster.Replicas[0].Output(), "\n") {
			s.must(len(line) <= 1024, "a line of %d bytes: %s", len(line), tail(line, 100))
		}
	},
}, {
	id: "43", name: "metrics, profiles and the simulator on the public port", does: "requests for each", bar: "404",
	guards: "operators' routes have a listener of their own", short: 1, rig: rig{replicas: 1},
	run: func(s *stage) {
		var table []attack
		for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/api/", "/sim", "/sim/log", "/admin/", "/.git/config", "/..%2f..%2fetc/passwd"} {
			table = append(table, attack{name: path, path: path, want: []int{404, 401, 405}, never: []string{"goroutine", "posthouse_"}})
		}
		s.attacks(table)
	},
}, {
	id: "44", name: "errors that tell too much", does: "each kind of error while Redis and WeChat are away", bar: "no address, stack, secret or path in an answer",
	guards: "peers get protocol errors", logins: 5, rig: rig{replicas: 1}, tests: []goTests{{"./callback", "TestPush_LogsAndAnswersLeakNothing"}, {"./internal/wechat", "Scrubbed|TestSecretsAreNeverPrinted"}},
	run: func(s *stage) {
		s.open(s.logins)
		s.cluster.Redis.Kill()
		s.cluster.Simulator.Kill()
		internal := []string{s.cluster.RedisAddr, "127.0.0.1:", "goroutine", ".go:", "dial tcp", "connection refused", testenv.Root()}
		s.attacks([]attack{
			{name: "readyz", path: "/readyz", want: []int{200, 503}, never: internal},
			{name: "exchange", method: "POST", path: "/login/exchange", header: []string{"Content-Type: application/json"}, body: `{"code":"x","verifier":"` + strings.Repeat("y", 43) + `"}`, want: []int{400, 401, 503}, never: internal},
			{name: "page", path: "/login", want: []int{200}, never: internal},
			{name: "jwks", path: "/.well-known/jwks.json", want: []int{200, 503}, never: internal},
		})
		c, err := client.Dial(s.Context(), s.cluster.Bases[0]+"/login", &client.Options{Transports: []string{"websocket"}, NoReconnect: true})
		s.need(err)
		defer func() { _ = c.Manager().Close() }()
		for _, event := range []string{"qrcode", "resume", "cancel"} {
			args, err := c.EmitWithAck(s.Context(), event, map[string]string{"ticket": "x", "resume": "y"})
			s.need(err)
			for _, word := range internal {
				s.must(!strings.Contains(args.String(), word), "%s was answered %s", event, args)
			}
		}
		s.cluster.StartRedis(s)
		s.awaitRedis()
	},
}, {
	id: "45", name: "WebTransport: streams and capsules without end", does: "further streams, openings that never come, bad frames", bar: "one stream a session; the session ends; the same limits",
	guards: "a second stream is reset", tests: []goTests{{"./socketio/engineio/webtransport", "TestFurtherStreams|TestOpening|TestBadFrames|TestMiddlewares|TestAllowRequest|TestGate"}},
}, {
	id: "46", name: "a function of the application panics", does: "events, middlewares, ack callbacks, connection and disconnect functions", bar: "logged, the connection ends, others go on",
	guards: "a panic ends its connection only", tests: []goTests{{"./socketio", "Panic"}, {"./socketio/engineio", "TestSession_HandlerPanicEndsItsSessionOnly"}},
}}
