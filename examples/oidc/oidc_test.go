package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.RemoveBinaries()
	os.Exit(code)
}

// A person opens a page behind nginx and oauth2-proxy, scans, and sees it.
func TestOIDC_Example_PageBehindOAuth2Proxy(t *testing.T) {
	node := testenv.NodeDir(t)
	testenv.Need(t, "chromium", "nginx")
	pagePort, gatewayPort := strconv.Itoa(testenv.FreePort(t)), strconv.Itoa(testenv.FreePort(t))
	page, gateway := "http://127.0.0.1:"+pagePort, "http://127.0.0.1:"+gatewayPort
	example := testenv.Start(t, []string{"PORT=" + pagePort, "GATEWAY_PORT=" + gatewayPort}, testenv.Binary(t, "./examples/oidc"))
	testenv.Until(t, 5*time.Minute, "oauth2-proxy is built", func() bool {
		return strings.Contains(example.Output(), "phone:") || strings.Contains(example.Output(), "go install")
	})
	if strings.Contains(example.Output(), "go install") {
		t.Skip("SKIP: oauth2-proxy cannot be fetched here")
	}
	example.Ready(t, gateway+"/readyz")
	testenv.Until(t, 20*time.Second, "nginx and oauth2-proxy answer", func() bool {
		out, err := exec.Command("curl", "-s", "-o", "/dev/null", "-w", "%{redirect_url}", page+"/oauth2/start").Output()
		return err == nil && strings.HasPrefix(string(out), gateway+"/oauth/authorize")
	})
	script := testenv.Start(t, []string{"NODE_PATH=" + filepath.Join(node, "node_modules")}, "node",
		filepath.Join(testenv.Root(), "internal", "interop", "openid", "testdata", "signin.mjs"), page+"/", gateway, "ana", os.Getenv("POSTHOUSE_TEST_SCREENSHOTS"))
	if err := script.Wait(2 * time.Minute); err != nil {
		t.Fatalf("%v\n%s\n%s", err, script.Output(), example.Output())
	}
	if shown := strings.TrimSpace(script.Output()); !strings.HasPrefix(shown, "o") || strings.ContainsAny(shown, " \n") {
		t.Errorf("the page shows %q", shown)
	}
	if err := example.Stop(20 * time.Second); err != nil {
		t.Error("the end:", err)
	}
}
