package main_test

import (
	"os"
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

// Two people sign in by scanning, share the board, and hear the back end.
// POSTHOUSE_TEST_SCREENSHOTS set to a directory keeps pictures of the pages.
func TestApp_TwoPeopleAtTheBoard(t *testing.T) {
	node := testenv.NodeDir(t, "axe-core")
	testenv.Need(t, "chromium", "python3")
	pagePort, gatewayPort := strconv.Itoa(testenv.FreePort(t)), strconv.Itoa(testenv.FreePort(t))
	page, gateway := "http://localhost:"+pagePort, "http://localhost:"+gatewayPort
	app := testenv.Start(t, []string{"PORT=" + pagePort, "GATEWAY_PORT=" + gatewayPort}, testenv.Binary(t, "./examples/app"))
	app.Ready(t, gateway+"/readyz")
	app.Ready(t, page)
	script := testenv.Start(t, []string{"NODE_PATH=" + filepath.Join(node, "node_modules")}, "node",
		filepath.Join("testdata", "browser.mjs"), page, gateway, os.Getenv("POSTHOUSE_TEST_SCREENSHOTS"))
	if err := script.Wait(2 * time.Minute); err != nil || !strings.Contains(script.Output(), "ok\n") {
		t.Fatalf("%v\n%s", err, script.Output())
	}
	if err := app.Stop(20 * time.Second); err != nil {
		t.Error("the end:", err)
	}
}
