package gateway

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"

	"posthouse/socketio/access"
	"posthouse/socketio/auth"
	"posthouse/socketio/hook"
)

// runningNamespace is a configured namespace with the parts that a reload changes.
type runningNamespace struct {
	settings Namespace // in force: those of the start, and what reloads took since
	served   attachable
	rules    *access.Rules
	hook     *hook.Client      // nil: none
	verifier *changingVerifier // nil: no issuer of its own
	keys     auth.KeySource    // of verifier
}

// changingVerifier judges tokens by the verifier in force.
type changingVerifier struct{ current atomic.Pointer[auth.Verifier] }

// Verify implements auth.TokenVerifier.
func (v *changingVerifier) Verify(ctx context.Context, token string) (*auth.Token, error) {
	return v.current.Load().Verify(ctx, token)
}

// liftLimit takes the bound of events off where limits.events says so.
func (r *runningNamespace) liftLimit() {
	if r.settings.Limits != nil && r.settings.rate.Off {
		r.served.LimitEvents(0, 0)
	}
}

// inForce are the settings of the namespaces that run.
func (ns *namespaces) inForce() (list []Namespace) {
	for _, r := range ns.running {
		list = append(list, r.settings)
	}
	return list
}

// roomLimit is the server's bound of rooms, which limits.rooms of a namespace cannot exceed.
func roomLimit(list []Namespace) int {
	limit := defaultRooms
	for _, n := range list {
		if n.Limits != nil {
			limit = max(limit, n.Limits.Rooms)
		}
	}
	return limit
}

// namespaceFixed are the keys of a namespace that wait for a restart: they decide how its
// sockets and events are stored.
var namespaceFixed = []string{"presence", "history", "recovery"}

// namespaceChange is what a reload does to one namespace.
type namespaceChange struct {
	running *runningNamespace
	merged  Namespace // what runs, with the settings that were taken
}

// compareNamespaces names what differs between the namespaces that run and those of the
// settings: what a reload takes, and what it cannot.
func (a *App) compareNamespaces(next []Namespace, note func(name string, canChange bool)) (changes []namespaceChange) {
	running := map[string]*runningNamespace{}
	if a.namespaces != nil {
		for _, r := range a.namespaces.running {
			running[r.settings.Name] = r
		}
	}
	for i := range next {
		n := &next[i]
		r, known := running[n.Name]
		if !known {
			note("namespaces."+n.Name, false)
			continue
		}
		delete(running, n.Name)
		c := namespaceChange{r, r.settings}
		changed := false
		c.merged.merge(n, a.namespaces.roomLimit, func(key string, canChange bool) {
			changed = changed || canChange
			note("namespaces."+n.Name+"."+key, canChange)
		})
		if changed {
			changes = append(changes, c)
		}
	}
	for name := range running {
		note("namespaces."+name, false)
	}
	return changes
}

// merge gives n those settings of next that can change while clients are connected. Other
// settings are sound only together with another way to let clients in: where that waits for a
// restart, all of the namespace waits.
func (n *Namespace) merge(next *Namespace, roomLimit int, note func(key string, canChange bool)) {
	waits := false
	for key, differs := range map[string]bool{
		"auth": n.Auth != next.Auth, "jwt": (n.JWT == nil) != (next.JWT == nil), "hook": (n.Hook == nil) != (next.Hook == nil),
	} {
		if differs {
			waits = true
			note(key, false)
		}
	}
	if waits {
		noteAll := note
		unchanged := *n
		defer func() { *n = unchanged }()
		note = func(key string, _ bool) { noteAll(key, false) }
	}
	old, now := reflect.ValueOf(n).Elem(), reflect.ValueOf(next).Elem()
	for i := range old.NumField() {
		field := old.Type().Field(i)
		key := field.Tag.Get("yaml")
		switch {
		case key == "" || key == "-" || key == "auth" || key == "jwt" || key == "hook" || key == "limits":
		case sameSetting(old.Field(i), now.Field(i)):
		case slices.Contains(namespaceFixed, key):
			note(key, false)
		default:
			note(key, true)
			old.Field(i).Set(now.Field(i))
		}
	}
	if n.JWT != nil && next.JWT != nil {
		changed := mergeKeys("jwt.", n.JWT, next.JWT, note)
		if n.JWT.KeyFile != "" && !slices.Contains(changed, "jwt.key-file") && !reflect.DeepEqual(n.keys, next.keys) {
			note("jwt.key-file", true) // its text
		}
		n.JWT, n.keys = next.JWT, next.keys
	}
	if n.Hook != nil && next.Hook != nil {
		changed := mergeKeys("hook.", n.Hook, next.Hook, note)
		if !slices.Contains(changed, "hook.secret-file") && !reflect.DeepEqual(n.secrets, next.secrets) {
			note("hook.secret-file", true) // its text
		}
		n.Hook, n.secrets = next.Hook, next.secrets
	}
	was, is := cmp.Or(n.Limits, new(NamespaceLimits)), cmp.Or(next.Limits, new(NamespaceLimits))
	limits := *is
	if is.Rooms > roomLimit {
		note("limits.rooms", false)
		limits.Rooms = was.Rooms
	}
	mergeKeys("limits.", was, &limits, note)
	n.Limits, n.rate = &limits, next.rate
}

// mergeKeys names the keys that differ between two structs of settings.
func mergeKeys[T any](prefix string, was, is *T, note func(key string, canChange bool)) (changed []string) {
	old, now := reflect.ValueOf(was).Elem(), reflect.ValueOf(is).Elem()
	for i := range old.NumField() {
		if !sameSetting(old.Field(i), now.Field(i)) {
			key := prefix + old.Type().Field(i).Tag.Get("yaml")
			note(key, true)
			changed = append(changed, key)
		}
	}
	return changed
}

// sameSetting compares two values of the file; an absent list is an empty one.
func sameSetting(a, b reflect.Value) bool {
	return a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 || reflect.DeepEqual(a.Interface(), b.Interface())
}

// prepareNamespace makes everything that can fail, and returns what puts it into force.
func (a *App) prepareNamespace(c *namespaceChange) (apply func() error, err error) {
	r, n := c.running, &c.merged
	rules := rulesOf(n)
	check := rules
	check.Claim = claimOf
	if _, err := access.New(&check); err != nil {
		return nil, &configError{"namespaces." + n.Name, "is not usable", err.Error()}
	}
	var client *hook.Options
	if r.hook != nil {
		if client, err = hookOptions(n); err != nil {
			return nil, err
		}
		if _, err = hook.New(client); err != nil {
			return nil, &configError{"namespaces." + n.Name + ".hook", "is not usable", err.Error()}
		}
	}
	keys, verifier := r.keys, (*auth.Verifier)(nil)
	if r.verifier != nil {
		if n.JWT.JWKS == "" || n.JWT.JWKS != r.settings.JWT.JWKS { // the keys that were fetched stay
			if keys, err = a.keysOf(n); err != nil {
				return nil, err
			}
		}
		if verifier, err = verifierOf(n, keys); err != nil {
			return nil, err
		}
	}
	return func() error {
		if verifier != nil {
			r.verifier.current.Store(verifier)
			if r.settings.JWT.JWKS != "" && r.settings.JWT.JWKS != n.JWT.JWKS {
				a.namespaces.dropKeySet(r.keys)
			}
			r.keys = keys
		}
		var errs []error
		if client != nil {
			errs = append(errs, r.hook.Update(client))
		}
		errs = append(errs, r.rules.Update(&rules))
		r.settings = *n
		r.liftLimit()
		return errors.Join(errs...)
	}, nil
}

// namespaceFiles are those that the configured namespaces name.
func namespaceFiles(file ConfigFile, list []Namespace) (files []string) {
	dir := filepath.Dir(string(file))
	for _, n := range list {
		if n.JWT != nil && n.JWT.KeyFile != "" {
			files = append(files, beside(dir, n.JWT.KeyFile))
		}
		if n.Hook != nil && n.Hook.SecretFile != "" {
			files = append(files, beside(dir, n.Hook.SecretFile))
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// otherSections names the sections of the file that differ and wait for a restart.
func otherSections(before, next *Config, note func(name string, canChange bool)) {
	for name, same := range map[string]bool{
		"clients":    reflect.DeepEqual(before.Clients, next.Clients),
		"session":    reflect.DeepEqual(before.Session, next.Session),
		"compat":     reflect.DeepEqual(before.Compat, next.Compat),
		"login-hook": reflect.DeepEqual(before.LoginHook, next.LoginHook),
	} {
		if !same {
			note(name, false)
		}
	}
}
