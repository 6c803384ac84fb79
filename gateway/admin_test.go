package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// adminSettings are the settings with the password "changeit".
func adminSettings(more ...string) []string {
	return append([]string{"POSTHOUSE_ADDR=127.0.0.1:0", "POSTHOUSE_ADMIN_PASSWORD_HASH=$2a$10$SsWQdGqzvd/w8D96eQUPCOwFNbxJVvE35PWcKBF6j5OIygzaHxn1G"}, more...)
}

func TestAdminSettings_WrongValues_AreNamed(t *testing.T) {
	for setting, want := range map[string]string{
		"POSTHOUSE_ADMIN_PASSWORD_HASH=changeit":           "POSTHOUSE_ADMIN_PASSWORD_HASH: ",
		"POSTHOUSE_ADMIN_PASSWORD_HASH_FILE=/nowhere/hash": "POSTHOUSE_ADMIN_PASSWORD_HASH_FILE: ",
		"POSTHOUSE_ADMIN_NAMESPACE=/":                      "POSTHOUSE_ADMIN_NAMESPACE: ",
		"POSTHOUSE_ADMIN_NAMESPACE=login":                  "POSTHOUSE_ADMIN_NAMESPACE: ",
		"POSTHOUSE_ADMIN_MODE=staging":                     "POSTHOUSE_ADMIN_MODE: ",
	} {
		problems := ReadSettings(nil, []string{setting}, nil).Problems()
		if len(problems) != 1 || !strings.HasPrefix(problems[0], want) || strings.Contains(problems[0], "changeit") {
			t.Errorf("%s: %q", setting, problems)
		}
	}
}

func TestAdminSettings_Mode_FollowsTheEnvironment(t *testing.T) {
	for _, test := range []struct{ env, mode, want string }{
		{"development", "", "development"}, {"production", "", "production"}, {"production", "development", "development"},
	} {
		s := ReadSettings(nil, []string{"POSTHOUSE_ENV=" + test.env, "POSTHOUSE_ADMIN_MODE=" + test.mode}, nil)
		if got := s.Config.AdminMode; got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

func TestAdminPage_WithoutHash_IsOff(t *testing.T) {
	for _, test := range []struct {
		environ []string
		path    string
		want    int
	}{
		{[]string{"POSTHOUSE_ADDR=127.0.0.1:0"}, "/admin/", 404},
		{adminSettings(), "/admin/", 200},
		{adminSettings(), "/admin", 302},
		{adminSettings(), "/admin/css/app.6e3b9661.css", 200},
		{adminSettings(), "/admin/nothing", 404},
		{adminSettings("POSTHOUSE_ADMIN_NAMESPACE=/ops"), "/admin/", 200},
	} {
		s := ReadSettings(nil, test.environ, nil)
		if p := s.Problems(); len(p) > 0 {
			t.Fatal(p)
		}
		a, err := New(s.Config)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, test.path, nil))
		if w.Code != test.want {
			t.Errorf("%v %s: %d", test.environ, test.path, w.Code)
		}
		a.releaseBound()
	}
}
