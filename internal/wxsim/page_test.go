package wxsim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"posthouse/internal/wxsim"
)

func (r *rig) page(path, language string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.server.URL+"/sim"+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Accept-Language", language)
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(body)
}

func TestPhonePageSpeaksBothLanguagesUnderAStrictPolicy(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	_, codeURL := r.code("s1")
	for _, path := range []string{"", "/", "/phone", codeURL[strings.Index(codeURL, "/q/"):]} {
		for language, want := range map[string]string{"zh-CN,zh;q=0.9,en;q=0.8": "手机模拟器", "en-GB": "Phone simulator", "": "Phone simulator"} {
			resp, body := r.page(path, language)
			if resp.StatusCode != http.StatusOK || !strings.Contains(body, "<h1>"+want) {
				t.Errorf("%q in %q: %d without %s", path, language, resp.StatusCode, want)
			}
			if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
				t.Errorf("policy %q", policy)
			}
			if strings.Contains(body, "style=") || strings.Contains(body, "onclick") {
				t.Error("the page has inline code")
			}
		}
	}
	for path, kind := range map[string]string{"/page.css": "text/css", "/page.js": "text/javascript", "/draw.js": "text/javascript", "/icon.svg": "image/svg+xml"} {
		if resp, body := r.page(path, ""); !strings.HasPrefix(resp.Header.Get("Content-Type"), kind) || len(body) < 100 {
			t.Errorf("%s: %s, %d bytes", path, resp.Header.Get("Content-Type"), len(body))
		}
	}
}

func TestBothLanguagesHaveTheSameWords(t *testing.T) {
	var words [2]map[string]string
	for i, name := range []string{"page/words.en.json", "page/words.zh.json"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &words[i]); err != nil {
			t.Fatal(err)
		}
	}
	for key := range words[0] {
		if words[1][key] == "" {
			t.Errorf("zh has no %q", key)
		}
	}
	if len(words[0]) != len(words[1]) {
		t.Errorf("%d words in en, %d in zh", len(words[0]), len(words[1]))
	}
}

func TestStateIsEmptyWhenNothingChanged(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	r.code("s1")
	r.ok("/follow", object{"person": "ann"})
	_, state := r.call(http.MethodGet, "/state?person=ann", nil)
	if len(state["codes"].([]any)) != 1 || len(state["people"].([]any)) != 1 || len(state["pushes"].([]any)) != 1 {
		t.Fatalf("state %v", state)
	}
	resp, body := r.page("/state?person=ann&since="+state["version"].(string), "")
	if resp.StatusCode != http.StatusNoContent || body != "" {
		t.Errorf("unchanged: %d %s", resp.StatusCode, body)
	}
}
