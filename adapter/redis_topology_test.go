package adapter

import "testing"

func TestOnServerOf_TheNameHasTheSlotOfTheKey(t *testing.T) {
	t.Parallel()
	for _, tt := range [][3]string{ // key, name, result
		{"socket.io#/#", "socket.io-log", "socket.io-log{socket.io#/#}"},
		{"{app}#/#", "{app}-log", "{app}-log"},
		{"{app}#/#", "log", "log{app}"},
		{"{app}#/#", "{other}-log", "other-log{app}"},
		{"socket.io#/#", "{other}-log", "other-log{socket.io#/#}"},
	} {
		if got := onServerOf(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s on the server of %s is %s, want %s", tt[1], tt[0], got, tt[2])
		}
	}
}
