package gateway

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const compatToken = "token-of-the-application"

// startCompat runs a gateway that answers as a wechat-server.
func startCompat(t *testing.T, args ...string) *provider {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(compatToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return startProvider(t, "compat: {wechat-server: {token-file: "+file+`, words: ["验证码", "Login Code"], age: 3m}}`+"\n", args...)
}

var chatCodeIn = regexp.MustCompile(`验证码：([0-9a-hjkmnp-tv-z]{8})`)

// chatCodes are those that the local WeChat's phone shows of the person, the latest last.
func (b *person) chatCodes() (codes []string) {
	b.t.Helper()
	var state struct {
		People []struct{ Chat []struct{ Text string } }
	}
	if err := json.Unmarshal([]byte(b.get("/sim/state?person="+b.openID).body), &state); err != nil {
		b.t.Fatal(err)
	}
	for _, someone := range state.People {
		for _, line := range someone.Chat {
			if m := chatCodeIn.FindStringSubmatch(line.Text); m != nil {
				codes = append(codes, m[1])
			}
		}
	}
	return codes
}

// askChat sends a text as a person and returns the code of the reply, "" when there is none.
func (b *person) askChat(text string) string {
	b.t.Helper()
	before := len(b.chatCodes())
	ask, err := json.Marshal(map[string]string{"person": b.openID, "text": text})
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := http.Post(b.p.url+"/sim/text", "application/json", strings.NewReader(string(ask)))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		b.t.Fatal(r.Status)
	}
	if codes := b.chatCodes(); len(codes) > before {
		return codes[len(codes)-1]
	}
	return ""
}

func (b *person) askServer(code, token string) reply {
	b.t.Helper()
	return b.get("/api/wechat/user?code="+url.QueryEscape(code), "Authorization", token)
}

func TestCompat_WeChatServer_CodeInTheChatIsThePersonOnce(t *testing.T) {
	run := func(t *testing.T, p *provider) {
		ana := p.person(t, "ana")
		code := ana.askChat("验证码")
		if code == "" {
			t.Fatal("no code in the chat")
		}
		taken := ana.askServer(" "+strings.ToUpper(code[:4])+" "+code[4:], compatToken)
		fields := taken.json(t)
		if taken.StatusCode != http.StatusOK || fields["success"] != true || fields["message"] != "" || !strings.HasPrefix(fields["data"].(string), "o") {
			t.Errorf("answer %s %s", taken.Status, taken.body)
		}
		const nothing = `{"message":"","success":true,"data":""}` + "\n"
		for name, code := range map[string]string{"used": code, "unknown": "abcd2345", "junk": "'; DROP", "too long": strings.Repeat("a", 3000)} {
			if r := ana.askServer(code, compatToken); r.body != nothing || r.StatusCode != http.StatusOK {
				t.Errorf("%s: %s %s", name, r.Status, r.body)
			}
		}
		if r := ana.askServer("", compatToken); r.StatusCode != http.StatusOK || r.json(t)["success"] != false || r.json(t)["message"] == "" {
			t.Errorf("no code: %s %s", r.Status, r.body)
		}
		// A person has one code; words win in any case and width.
		first, second := ana.askChat(" ｌｏｇｉｎ code "), ana.askChat("LOGIN CODE")
		for name, token := range map[string]string{"none": "", "wrong": "x", "Bearer": "Bearer " + compatToken} {
			if r := ana.askServer(second, token); r.StatusCode != http.StatusUnauthorized {
				t.Errorf("token %s: %s", name, r.Status)
			}
		}
		if first == "" || first == second || ana.askServer(first, compatToken).body != nothing {
			t.Errorf("the earlier code %q is still good", first)
		}
		var mu sync.Mutex
		persons := map[any]int{}
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				data := ana.askServer(second, compatToken).json(t)["data"]
				mu.Lock()
				defer mu.Unlock()
				persons[data]++
			})
		}
		wait.Wait()
		if persons[""] != 7 || len(persons) != 2 {
			t.Errorf("eight at once: %v", persons)
		}
		if got := ana.askChat("hello"); got != "" {
			t.Errorf("another text is answered with %q", got)
		}
	}
	t.Run("memory", func(t *testing.T) { run(t, startCompat(t)) })
	t.Run("redis", func(t *testing.T) { run(t, startCompat(t, "--redis-url=redis://"+startRedis(t).addr())) })
}

func TestCompat_WeChatServer_GuessesMeetALimitAndRightCodesDoNot(t *testing.T) {
	p := startCompat(t)
	ana := p.person(t, "ana")
	code := ana.askChat("验证码")
	limited := 0
	for range 400 {
		if ana.askServer("abcd2345", compatToken).StatusCode == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited == 0 {
		t.Error("no guess met the limit")
	}
	if r := ana.askServer(code, compatToken); r.json(t)["data"] == "" {
		t.Errorf("a right code was refused: %s", r.body)
	}
}

func TestCompat_Off_RouteIs404(t *testing.T) {
	if r := startProvider(t, "").person(t, "ana").askServer("abcd2345", compatToken); r.StatusCode != http.StatusNotFound {
		t.Errorf("got %s", r.Status)
	}
}
