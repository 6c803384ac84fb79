package testenv

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Balancer runs a shipped configuration, examples/deploy/nginx*.conf or haproxy*.cfg, in
// front of replicas, which are host:port, and waits until one of them answers through it.
func Balancer(t testing.TB, conf string, replicas []string) (base string, p *Process) {
	t.Helper()
	shipped, err := os.ReadFile(filepath.Join(Root(), "examples", "deploy", conf))
	if err != nil {
		t.Fatal(err)
	}
	text, dir := string(shipped), t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} { // nginx's workers run as another user than root
		if err := os.Chmod(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	for i, replica := range replicas {
		text = strings.ReplaceAll(text, "gateway"+strconv.Itoa(i+1)+":3000", replica)
	}
	addr := "127.0.0.1:" + strconv.Itoa(FreePort(t))
	file := filepath.Join(dir, conf)
	command := []string{"haproxy", "-db", "-f", file}
	if strings.HasPrefix(conf, "nginx") {
		command = []string{"nginx", "-c", file, "-p", dir}
		text = "daemon off;\nerror_log stderr warn;\npid " + dir + "/nginx.pid;\n" + strings.ReplaceAll(text, "listen 80;", "listen "+addr+";")
		for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			text = strings.Replace(text, "access_log off;", "access_log off;\n    "+kind+"_temp_path "+dir+"/"+kind+";", 1)
		}
	} else {
		text = strings.ReplaceAll(text, "bind :80", "bind "+addr)
	}
	Need(t, command[0])
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	base = "http://" + addr
	p = Start(t, nil, command[0], command[1:]...)
	p.Ready(t, base+"/healthz")
	return base, p
}
