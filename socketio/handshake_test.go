package socketio

import (
	"net/http/httptest"
	"testing"
)

// urlquery's tests compare more values with Node's.
func TestHandshake_Query_KeepsWhatIsBadlyEscaped(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/socket.io/?EIO=4&token=100%&a=%zz&x=a;b&n=1&n=2", nil)
	q := newOpening(r, "").publicForm(nil).Query
	for key, want := range map[string]string{"EIO": "4", "token": "100%", "a": "%zz", "x": "a;b", "n": "2"} {
		if got, ok := q[key]; !ok || got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
}
