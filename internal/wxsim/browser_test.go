package wxsim_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posthouse/internal/wxsim"
)

// tool finds a program or file this test needs, or skips it; with
// POSTHOUSE_TEST_ALL=1 a missing one is a failure.
func tool(t *testing.T, name string, found bool) {
	t.Helper()
	if found {
		return
	}
	if os.Getenv("POSTHOUSE_TEST_ALL") == "1" {
		t.Fatalf("%s is missing", name)
	}
	t.Skipf("SKIPPED: needs %s", name)
}

func TestPhonePageInABrowser(t *testing.T) {
	node, err := exec.LookPath("node")
	tool(t, "node", err == nil)
	chromium, err := exec.LookPath("chromium")
	tool(t, "chromium", err == nil)
	modules, err := filepath.Abs("../interop/node/package.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"playwright-core", "axe-core"} {
		_, err = os.Stat(filepath.Join(filepath.Dir(modules), "node_modules", name))
		tool(t, name+" (npm ci in internal/interop/node)", err == nil)
	}

	r := newRig(t, wxsim.Options{Accounts: []wxsim.Account{plainAccount()}})
	r.reply(func(w http.ResponseWriter, q *http.Request) {
		var m struct{ ToUserName, FromUserName, MsgType, Event, Content string }
		if err := xml.NewDecoder(q.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		said := "welcome, " + m.Event
		if m.MsgType == "text" {
			said = "you said " + m.Content
		}
		fmt.Fprintf(w, "<xml><ToUserName>%s</ToUserName><FromUserName>%s</FromUserName><CreateTime>%d</CreateTime>"+
			"<MsgType>text</MsgType><Content>%s</Content></xml>", m.FromUserName, m.ToUserName, time.Now().Unix(), said)
	})
	r.code("L1.browser")

	c := exec.CommandContext(t.Context(), node, "testdata/phone.mjs")
	c.Env = append(os.Environ(), "PHONE_URL="+r.server.URL+"/sim", "CHROMIUM="+chromium, "NODE_MODULES_FROM="+modules)
	c.WaitDelay = 5 * time.Second
	out, err := c.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Errorf("%v\n%s", err, out)
	}
}
