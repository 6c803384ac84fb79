package socketio_test

import (
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio"
)

// RecoveryByNamespace decides by name and by the pattern of OfPattern; Recovery holds for
// the rest.
func TestRecoveryByNamespace_EachNamespaceHasItsOwn(t *testing.T) {
	short, usual := &socketio.Recovery{MaxDisconnection: time.Minute}, &socketio.Recovery{MaxDisconnection: time.Hour}
	for name, c := range map[string]struct {
		options   socketio.Options
		namespace string
		away      time.Duration
		want      bool // the client is recovered
	}{
		"named":                    {socketio.Options{RecoveryByNamespace: map[string]*socketio.Recovery{"/app": short}}, "/app", time.Second, true},
		"named, away too long":     {socketio.Options{Recovery: usual, RecoveryByNamespace: map[string]*socketio.Recovery{"/app": short}}, "/app", 2 * time.Minute, false},
		"named, off":               {socketio.Options{Recovery: usual, RecoveryByNamespace: map[string]*socketio.Recovery{"/app": nil}}, "/app", time.Second, false},
		"others as Recovery says":  {socketio.Options{Recovery: usual, RecoveryByNamespace: map[string]*socketio.Recovery{"/app": nil}}, "/team/7", 2 * time.Minute, true},
		"others without Recovery":  {socketio.Options{RecoveryByNamespace: map[string]*socketio.Recovery{"/app": short}}, "/team/7", time.Second, false},
		"by a pattern":             {socketio.Options{RecoveryByNamespace: map[string]*socketio.Recovery{"/team/{id}": short}}, "/team/7", time.Second, true},
		"a name before a pattern":  {socketio.Options{RecoveryByNamespace: map[string]*socketio.Recovery{"/team/{id}": short, "/team/7": nil}}, "/team/7", time.Second, false},
		"a pattern does not match": {socketio.Options{RecoveryByNamespace: map[string]*socketio.Recovery{"/team/{id}": short}}, "/app", time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c.options.KeepEmptyNamespaces = true
				srv := serve(t, &c.options)
				srv.Of("/app")
				srv.OfPattern("/team/{id}")
				client := srv.Connect(c.namespace, nil)
				client.Conn.Close()
				synctest.Wait()
				noError(t, srv.Of(c.namespace).Emit("missed"))
				time.Sleep(c.away)
				back := srv.Connect(c.namespace, map[string]string{"pid": client.PID})
				if recovered := client.PID != "" && back.ID == client.ID; recovered != c.want {
					t.Errorf("private id %q, recovered %t, want %t", client.PID, recovered, c.want)
				}
				if keep, ok := srv.Of(c.namespace).Adapter().(interface {
					RecoveryEnabled() (time.Duration, bool)
				}).RecoveryEnabled(); ok != (client.PID != "") || ok && keep <= 0 {
					t.Errorf("RecoveryEnabled is %v, %t", keep, ok)
				}
			})
		})
	}
}
