package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"posthouse/internal/loglimit"
	"posthouse/internal/randid"
	"posthouse/socketio"
)

// errCredentials has the message that the page compares to open its dialog again.
var errCredentials = &socketio.ConnectError{Message: "invalid credentials"}

// newSession is the id of the session that a log-in has made, until it was sent.
var newSession = socketio.NewPrivateKey[string]("admin:session")

const (
	maxPassword        = 72 // bytes; bcrypt looks at no more
	failuresPerMinute  = 5  // of passwords, per address
	guessesPerMinute   = 60 // of session ids, per address
	parallelPasswords  = 2  // a comparison takes a core for a while
	sessionBytes       = 16
	maxSessionIDLength = 128
	storePatience      = 2 * time.Second
)

// gate is the middleware of the administrators' namespace.
type gate struct {
	username     [sha256.Size]byte
	passwordHash []byte
	dummyHash    []byte // compared when the name is wrong, so that both take as long
	store        SessionStore
	passwords    *attempts
	sessions     *attempts
	comparing    chan struct{} // a place for each comparison at once
	admin        *Admin
	lines        loglimit.Limiter
}

func newGate(a *Admin) (*gate, error) {
	if _, err := bcrypt.Cost([]byte(a.options.PasswordHash)); err != nil {
		return nil, err
	}
	// The version and cost of the real one, with a salt and a sum of no password.
	dummy := []byte(a.options.PasswordHash[:len("$2b$10$")] + randid.Hex(27)[:53])
	return &gate{
		username: sha256.Sum256([]byte(a.options.Username)), passwordHash: []byte(a.options.PasswordHash), dummyHash: dummy,
		store: a.options.Store, passwords: newAttempts(failuresPerMinute), sessions: newAttempts(guessesPerMinute),
		comparing: make(chan struct{}, parallelPasswords), admin: a, lines: loglimit.Limiter{Burst: 10},
	}, nil
}

// admit decides about a new administrator.
func (g *gate) admit(ctx context.Context, s *socketio.Socket) error {
	var login struct {
		SessionID, Username, Password *string
	}
	err := s.Auth(&login)
	s.ForgetAuth() // other nodes ask for handshakes
	address := s.Handshake().Address
	if err != nil {
		return g.refuse(address, "the payload does not fit")
	}
	if id := login.SessionID; id != nil && *id != "" {
		known, err := g.knows(ctx, address, *id)
		if known {
			return nil
		}
		if err != nil || login.Password == nil {
			return g.refuse(address, "unknown session")
		}
	}
	if login.Username == nil || login.Password == nil {
		return g.refuse(address, "no credentials")
	}
	if len(*login.Password) > maxPassword {
		return g.refuse(address, "password longer than 72 bytes")
	}
	if !g.passwords.begin(address) {
		return g.refuse(address, "too many failures")
	}
	right, err := g.compare(ctx, *login.Username, *login.Password)
	if err != nil || !right {
		return g.refuse(address, "wrong name or password")
	}
	g.passwords.succeed(address)
	g.openSession(ctx, s)
	return nil
}

// knows asks the store for a session.
func (g *gate) knows(ctx context.Context, address, id string) (bool, error) {
	if len(id) > maxSessionIDLength || strings.ContainsAny(id, " \r\n#") || !g.sessions.begin(address) {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	known, err := g.store.Has(ctx, id)
	if err != nil {
		g.admin.storeTrouble(err)
	}
	if known {
		g.sessions.succeed(address)
	}
	return known, err
}

// compare takes the same time whether the name is right or not.
func (g *gate) compare(ctx context.Context, username, password string) (bool, error) {
	select {
	case g.comparing <- struct{}{}:
		defer func() { <-g.comparing }()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	given := sha256.Sum256([]byte(username))
	known := subtle.ConstantTimeCompare(given[:], g.username[:]) == 1
	hash := g.passwordHash
	if !known {
		hash = g.dummyHash
	}
	return bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil && known, nil
}

// openSession makes the session that the connection function sends. A store that fails
// costs the administrator another log-in, nothing more.
func (g *gate) openSession(ctx context.Context, s *socketio.Socket) {
	id := randid.Hex(sessionBytes)
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	if err := g.store.Save(ctx, id); err != nil {
		g.admin.storeTrouble(err)
		return
	}
	newSession.Set(s, id)
}

func (g *gate) refuse(address, reason string) error {
	g.admin.counts.refused.Add(1)
	if suppressed, ok := g.lines.Allow(); ok {
		g.admin.log.Warn("socketio/admin: log-in refused", "address", address, "reason", reason, "suppressed", suppressed)
	}
	return errCredentials
}
