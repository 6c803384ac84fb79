package scenario

import (
	"encoding/json"
	"strings"
	"testing"
)

// A hostile server makes the client hang up, never panic.
func FuzzPacket(f *testing.F) {
	for _, seed := range []string{
		"", "1", "6", `42/login,["state",{"state":"waiting"}]`, `42/login,7["token","x"]`, "42/login,[]", `42/login,99999999999999999999["a"]`,
		`43/login,0[{"state":"done"}]`, "43/login,0", `43/login,0{}`, "41/login,", "44/login,{}", "40/login,{}", "bAAAA", `42["x"]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, packet string) {
		if packet == "2" {
			t.Skip("a ping is answered over the network")
		}
		c := &client{events: make(chan message, maxEvents), acks: map[string]chan []json.RawMessage{"0": make(chan []json.RawMessage, 1)}}
		c.handle(packet)
		c.handle(packet)
		_ = connectError(packet)
		_, _ = keys{}.read(packet)
	})
}

func FuzzReadScript(f *testing.F) {
	f.Add(twoPeople)
	for _, name := range Builtin() {
		data, err := scripts.ReadFile("scripts/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ReadScript(strings.NewReader(text))
		if err == nil && len(s.Steps) == 0 {
			t.Error("a script without steps")
		}
	})
}
