package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"os"
	"strconv"
	"time"

	"posthouse/internal/login"
	"posthouse/socketio/hook"
)

// LoginHook names a back end that is told of logins (docs/login.md §9).
type LoginHook struct {
	URL        string `yaml:"url"`
	SecretFile string `yaml:"secret-file"`

	secrets []hook.Secret
}

func (h *LoginHook) normalize() error {
	if h == nil {
		return nil
	}
	var errs configErrors
	if u, err := url.Parse(h.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		errs.add(keyError("login-hook.url", h.URL, "write a whole http or https URL"))
	}
	const secretForm = "name a file with whsec_ and the base64 of 24 to 64 bytes in a line, the newest first"
	if h.SecretFile == "" {
		errs.add(keyError("login-hook.secret-file", "", secretForm))
		return errs.joinErrors()
	}
	text, err := os.ReadFile(h.SecretFile)
	if err == nil {
		h.secrets, err = hook.ParseSecrets(cleanText(string(text)))
	}
	if err != nil {
		errs.add(keyError("login-hook.secret-file", h.SecretFile, err.Error()))
	}
	return errs.joinErrors()
}

// loginHook tells the back end. It implements login.Observer.
type loginHook struct {
	client   *hook.Client
	accounts *accounts
}

var _ login.Observer = (*loginHook)(nil)

// buildLoginHook makes the hook when it is configured.
func (a *App) buildLoginHook() (login.Observer, error) {
	c := a.config.LoginHook
	if c == nil {
		return nil, nil
	}
	client, err := hook.New(&hook.Options{URL: c.URL, Secrets: c.secrets, Replica: a.replicaName, Logger: a.log, Transport: a.traces.hookTransport(0)})
	if err != nil {
		return nil, &configError{"login-hook", "is not usable", err.Error()}
	}
	a.loginHook = &loginHook{client, a.accounts}
	return a.loginHook, nil
}

// shutdown lets what waits be posted once more.
func (h *loginHook) shutdown(ctx context.Context) error {
	if h == nil {
		return nil
	}
	return h.client.Shutdown(ctx)
}

// loginNotice is what is posted.
type loginNotice struct {
	Type    string `json:"type"` // login.done, login.revoked, person.left
	ID      string `json:"id"`   // the webhook-id
	Account string `json:"account"`
	AppID   string `json:"appid"`
	OpenID  string `json:"openid"`
	JTI     string `json:"jti,omitempty"`
	Context string `json:"ctx,omitempty"`
	Time    string `json:"time"`
}

// LoginDone implements login.Observer.
func (h *loginHook) LoginDone(t login.Ticket) {
	h.post(loginNotice{Type: "login.done", AppID: t.AppID, OpenID: t.OpenID, JTI: t.JTI, Context: t.Context}, t.JTI)
}

// LoginRevoked implements login.Observer.
func (h *loginHook) LoginRevoked(t login.Ticket) {
	about := t.JTI
	if about == "" {
		about = t.AppID + t.OpenID + strconv.FormatInt(time.Now().Unix()/60, 10)
	}
	h.post(loginNotice{Type: "login.revoked", AppID: t.AppID, OpenID: t.OpenID, JTI: t.JTI}, about)
}

// PersonLeft implements login.Observer.
func (h *loginHook) PersonLeft(appID, openID string, at time.Time) {
	h.post(loginNotice{Type: "person.left", AppID: appID, OpenID: openID}, appID+openID+strconv.FormatInt(at.Unix(), 10))
}

// post queues a notice. Its id follows from what it is about, so that a repeat of the same
// is known as one.
func (h *loginHook) post(n loginNotice, about string) {
	sum := sha256.Sum256([]byte(n.Type + about))
	n.ID = "msg_" + hex.EncodeToString(sum[:16])
	n.Time = time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	for _, account := range h.accounts.inOrder {
		if account.AppID == n.AppID {
			n.Account = account.Name
		}
	}
	if err := h.client.Notify(n.ID, n); err != nil {
		panic(err) // texts always encode
	}
}
