package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"posthouse/internal/login"
	"posthouse/socketio"
	"posthouse/socketio/access"
	"posthouse/socketio/auth"
	"posthouse/socketio/hook"
	"posthouse/socketio/presence"
)

// maxNamespacePayload is the largest message when namespaces are configured: what their
// clients say is the application's own. /login keeps maxLoginPayload.
const maxNamespacePayload = 1 << 20

// namespaces are those of the configuration, wired to the library.
type namespaces struct {
	guards    []*auth.Guard
	ownGuard  *auth.Guard // for the tokens of the gateway's own login; nil: no namespace asks for them
	hooks     []*hook.Client
	rules     []*access.Rules
	presences []namespacePresence
	endedJTIs map[string]time.Time // revoked tokens whose sockets were ended, and when; owned by watchRevoked
	running   []*runningNamespace  // owned by buildNamespaces, then by watchSettings
	roomLimit int                  // the most that limits.rooms can be without a restart

	keySets      atomic.Pointer[[]namespaceKeySet] // copied on write by keysOf and dropKeySet
	retiredStats atomic.Pointer[auth.JWKSStats]    // of key sets that are no longer used; written by dropKeySet
}

// namespaceKeySet is the JWKS of a namespace.
type namespaceKeySet struct {
	namespace, address string
	keys               *auth.JWKS
}

// namespacePresence knows the members of the rooms of a configured namespace.
type namespacePresence struct {
	namespace string // its name in the configuration
	here      *presence.Presence
	served    func(n *socketio.Namespace) bool
}

// attachable is what every part of a namespace attaches to: a *socketio.Namespace or a
// *socketio.ParentNamespace.
type attachable interface {
	auth.Namespace
	access.Namespace
	hook.Namespace
}

// buildNamespaces serves the namespaces of the configuration. Without any it does
// nothing.
func (a *App) buildNamespaces() error {
	if len(a.config.Namespaces) == 0 {
		return nil
	}
	a.namespaces = &namespaces{endedJTIs: map[string]time.Time{}, roomLimit: roomLimit(a.config.Namespaces)}
	a.namespaces.keySets.Store(new([]namespaceKeySet))
	a.namespaces.retiredStats.Store(new(auth.JWKSStats))
	for i := range a.config.Namespaces {
		if err := a.buildNamespace(&a.config.Namespaces[i]); err != nil {
			return err
		}
	}
	limitPayload(a.ioServer.Of("/login"))
	a.health.namespaceProblems = a.namespaces.listProblems
	return nil
}

// listProblems names the key sets that could not be fetched when they were last needed,
// for /readyz. The error itself is in the log.
func (ns *namespaces) listProblems() []string {
	var all []string
	for _, set := range *ns.keySets.Load() {
		if set.keys.Err() != nil {
			all = append(all, "namespace "+set.namespace+": the keys at "+set.address+" cannot be fetched: make the URL reachable from this host")
		}
	}
	return all
}

// keysOf are the keys of a namespace with an issuer of its own.
func (a *App) keysOf(n *Namespace) (auth.KeySource, error) {
	if n.JWT.JWKS == "" {
		return n.keys, nil
	}
	keys, err := auth.NewJWKS(n.JWT.JWKS, &auth.JWKSOptions{Logger: a.log.With("namespace", n.Name)})
	if err != nil {
		return nil, err // normalize has looked at it
	}
	address, _, _ := strings.Cut(n.JWT.JWKS, "?") // a query may hold a secret
	sets := append(slices.Clone(*a.namespaces.keySets.Load()), namespaceKeySet{n.Name, address, keys})
	a.namespaces.keySets.Store(&sets)
	return keys, nil
}

// dropKeySet forgets the JWKS that a namespace no longer uses, but for its numbers.
func (ns *namespaces) dropKeySet(keys auth.KeySource) {
	sets := slices.Clone(*ns.keySets.Load())
	retired := *ns.retiredStats.Load()
	sets = slices.DeleteFunc(sets, func(s namespaceKeySet) bool {
		gone := auth.KeySource(s.keys) == keys
		if gone {
			st := s.keys.Stats()
			retired.Failures += st.Failures
			retired.Stale += st.Stale
		}
		return gone
	})
	ns.retiredStats.Store(&retired)
	ns.keySets.Store(&sets)
}

func (a *App) buildNamespace(n *Namespace) error {
	var ns attachable = a.ioServer.Of(n.Name)
	if strings.ContainsAny(n.Name, "*{") {
		ns = a.ioServer.OfPattern(n.Name)
	}
	ns.OnConnection(a.admission.countEarlyEvents)
	running := &runningNamespace{settings: *n, served: ns}
	if n.Auth == "jwt" {
		guard, err := a.guardOf(n, running)
		if err != nil {
			return err
		}
		guard.Protect(ns)
	}
	o := rulesOf(n)
	o.Claim, o.Other = claimOf, access.RefuseUnknown
	if n.Auth == "jwt" {
		o.Known = []string{"auth"}
	}
	if n.Hook != nil {
		client, err := a.hookClientOf(n)
		if err != nil {
			return err
		}
		client.AttachConnections(ns)
		o.Other, running.hook = client.HandleEvent, client
	}
	if err := a.addRoomFeatures(n, ns, &o); err != nil {
		return err
	}
	rules, err := access.New(&o)
	if err != nil {
		return &configError{"namespaces." + n.Name, "is not usable", err.Error()}
	}
	rules.Apply(ns)
	running.rules = rules
	running.liftLimit()
	a.namespaces.rules = append(a.namespaces.rules, rules)
	a.namespaces.running = append(a.namespaces.running, running)
	return nil
}

// rulesOf are the rules of a namespace that its settings name.
func rulesOf(n *Namespace) access.Options {
	o := access.Options{Rooms: n.Rooms, Join: n.Join, Relay: n.Relay}
	if n.Limits != nil {
		o.MaxRooms = n.Limits.Rooms
		if !n.rate.Off && n.rate.N > 0 {
			o.EventsPerSecond, o.EventsBurst = float64(n.rate.N)/n.rate.Per.Seconds(), n.rate.N
		}
	}
	return o
}

// claimOf is the claim of a socket: of its token, or the user that a back end named.
func claimOf(s *socketio.Socket, name string) (string, bool) {
	if _, ok := auth.TokenOf(s); ok || name != "sub" {
		return auth.ClaimOf(s, name)
	}
	user, ok := auth.Subject.Of(s)
	return user, ok && user != ""
}

// guardOf makes what judges the tokens of a namespace. Those that ask for the gateway's
// own tokens share one.
func (a *App) guardOf(n *Namespace, running *runningNamespace) (*auth.Guard, error) {
	ns := a.namespaces
	g := &auth.GuardOptions{Logger: a.log}
	if n.JWT == nil {
		if ns.ownGuard != nil {
			return ns.ownGuard, nil
		}
		verifier, err := auth.NewVerifier(&auth.VerifierOptions{
			Issuer: a.config.JWTIssuer, Audience: a.config.JWTAudience, Keys: ownKeys{a.issuer}, ClockSkew: 30 * time.Second,
		})
		if err != nil {
			return nil, err
		}
		g.Revoked = a.isRevoked
		ns.ownGuard = auth.NewGuard(verifier, g)
		ns.guards = append(ns.guards, ns.ownGuard)
		return ns.ownGuard, nil
	}
	keys, err := a.keysOf(n)
	if err != nil {
		return nil, err
	}
	verifier, err := verifierOf(n, keys)
	if err != nil {
		return nil, err
	}
	running.keys, running.verifier = keys, new(changingVerifier)
	running.verifier.current.Store(verifier)
	guard := auth.NewGuard(running.verifier, g)
	ns.guards = append(ns.guards, guard)
	return guard, nil
}

// verifierOf judges the tokens of a namespace with an issuer of its own.
func verifierOf(n *Namespace, keys auth.KeySource) (*auth.Verifier, error) {
	skew, err := parseDuration(n.JWT.ClockSkew)
	if err != nil {
		return nil, err // normalize has looked at it
	}
	verifier, err := auth.NewVerifier(&auth.VerifierOptions{Issuer: n.JWT.Issuer, Audience: n.JWT.Audience, Keys: keys, ClockSkew: skew})
	if err != nil {
		return nil, &configError{"namespaces." + n.Name + ".jwt", "is not usable", err.Error()}
	}
	return verifier, nil
}

// hookOptions are the options of the back end of a namespace that its settings name.
func hookOptions(n *Namespace) (*hook.Options, error) {
	timeout, err := parseDuration(n.Hook.Timeout)
	if err != nil {
		return nil, err // normalize has looked at it
	}
	return &hook.Options{
		URL: n.Hook.URL, Secrets: n.secrets, Events: n.Hook.Events, Timeout: timeout, FailOpen: n.Hook.Fail == "open",
		Concurrency: n.Hook.Concurrency, Retries: n.Hook.Retries, Headers: n.Hook.Headers,
	}, nil
}

func (a *App) hookClientOf(n *Namespace) (*hook.Client, error) {
	o, err := hookOptions(n)
	if err != nil {
		return nil, err
	}
	o.Replica, o.Claims, o.Logger, o.Transport = a.replicaName, claimsOf, a.log, a.traces.hookTransport(n.Hook.Concurrency)
	client, err := hook.New(o)
	if err != nil {
		return nil, &configError{"namespaces." + n.Name + ".hook", "is not usable", err.Error()}
	}
	a.namespaces.hooks = append(a.namespaces.hooks, client)
	return client, nil
}

func claimsOf(s *socketio.Socket) any {
	if token, ok := auth.TokenOf(s); ok {
		return token.Claims
	}
	return nil
}

// limitPayload keeps the bound of /login while other namespaces have a wider one.
func limitPayload(n *socketio.Namespace) {
	n.OnConnection(func(s *socketio.Socket) {
		s.Use(func(e *socketio.Event) error {
			size := 0
			for _, v := range e.Args().All() {
				size += len(v.JSON)
				for _, b := range v.Attachments {
					size += len(b)
				}
			}
			if size > maxLoginPayload {
				s.Disconnect(true)
				return errTooLong
			}
			return nil
		})
	})
}

var errTooLong = errors.New("gateway: the event is longer than 16 KiB")

// ownKeys are the keys of the gateway's own tokens, those of a rotation included.
type ownKeys struct{ issuer *login.Issuer }

// Find implements auth.KeySource.
func (o ownKeys) Find(_ context.Context, kid string) ([]auth.Key, error) {
	if o.issuer.Ready() != nil {
		return nil, auth.ErrUnavailable
	}
	var keys []auth.Key
	for _, k := range o.issuer.PublicKeys() {
		if kid != "" && k.ID != "" && k.ID != kid {
			continue
		}
		key, err := auth.NewKey(k.ID, k.Material)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// isRevoked asks whether a token was taken back, with the list that /login/revoked has.
func (a *App) isRevoked(ctx context.Context, t *auth.Token) (bool, error) {
	list, err := a.loginNamespace.revocations.fetchList(ctx, a.loginService)
	return slices.Contains(list.Revoked, t.ID), err
}

// watchRevoked ends the sockets of tokens that were taken back, within two seconds, on
// this replica; the others do the same.
func (a *App) watchRevoked(ctx context.Context) {
	ns := a.namespaces
	tick := time.NewTicker(revokedAge / 2) // the list is up to revokedAge old
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		list, err := a.loginNamespace.revocations.fetchList(ctx, a.loginService)
		if err != nil {
			continue // the health check says that the store is away
		}
		fresh := map[string]bool{}
		now := time.Now()
		for _, jti := range list.Revoked {
			if _, done := ns.endedJTIs[jti]; !done {
				fresh[jti] = true
				ns.endedJTIs[jti] = now
			}
		}
		for jti, at := range ns.endedJTIs {
			if now.Sub(at) > time.Duration(a.config.JWTTTL)+time.Minute {
				delete(ns.endedJTIs, jti) // the token is over
			}
		}
		if len(fresh) > 0 {
			ns.ownGuard.EndSockets(func(t *auth.Token) bool { return fresh[t.ID] })
		}
	}
}

// shutdown ends what the namespaces own, after the sockets.
func (ns *namespaces) shutdown(ctx context.Context) error {
	if ns == nil {
		return nil
	}
	var errs []error
	for _, client := range ns.hooks {
		errs = append(errs, client.Shutdown(ctx))
	}
	for _, guard := range ns.guards {
		guard.Close()
	}
	return errors.Join(errs...)
}
