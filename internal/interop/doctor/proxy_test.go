package doctor

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

// nginxConf is a right configuration; the marks are what the cases change.
const nginxConf = `daemon off;
error_log stderr warn;
pid DIR/nginx.pid;
worker_processes 1;
events { worker_connections 512; }
http {
	access_log off;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	proxy_cache_path DIR/cache keys_zone=polls:1m;
	map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
	upstream servers {
		BALANCE
		SERVERS
	}
	server {
		listen ADDR;
		client_max_body_size 2m;
		location / {
			proxy_pass http://servers;
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $connection_upgrade;
			proxy_set_header X-Forwarded-For $remote_addr;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header X-Forwarded-Host $http_host;
			proxy_buffering off;
			proxy_read_timeout 75s;
		}
	}
}
`

// haproxyConf is a right configuration as well.
const haproxyConf = `defaults
	mode http
	timeout connect 2s
	timeout http-request 10s
	timeout client 75s
	timeout server 75s
	timeout tunnel 75s
frontend public
	bind ADDR
	http-request set-header X-Forwarded-For %[src]
	http-request set-header X-Forwarded-Proto http
	http-request set-header X-Forwarded-Host %[req.hdr(host)]
	default_backend servers
backend servers
	balance BALANCE
	SERVERS
`

// startProxy runs nginx or haproxy before servers, with changes to its right configuration:
// pairs of old and new text.
func startProxy(t *testing.T, program string, servers []string, changes []string) (url string) {
	t.Helper()
	testenv.Need(t, program)
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} { // nginx's workers run as another user than root
		if err := os.Chmod(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	addr := "127.0.0.1:" + strconv.Itoa(testenv.FreePort(t))
	text, balance := nginxConf, "hash $remote_addr consistent;"
	var lines []string
	for i, server := range servers {
		if program == "nginx" {
			lines = append(lines, "server "+server+" max_fails=0;")
		} else {
			lines = append(lines, "server s"+strconv.Itoa(i)+" "+server)
		}
	}
	if program == "haproxy" {
		text, balance = haproxyConf, "source"
	}
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("no %q in the configuration", changes[i])
		}
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	text = strings.NewReplacer("DIR", dir, "ADDR", addr, "BALANCE", balance, "SERVERS", strings.Join(lines, "\n\t\t")).Replace(text)
	file := filepath.Join(dir, "proxy.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-c", file, "-p", dir}
	if program == "haproxy" {
		args = []string{"-db", "-f", file}
	}
	testenv.Start(t, nil, program, args...)
	awaitListener(t, addr)
	return "http://" + addr
}

// awaitListener waits until an address takes connections.
func awaitListener(t *testing.T, addr string) {
	t.Helper()
	testenv.Until(t, 20*time.Second, "a listener on "+addr, func() bool {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}

// startNode runs servers of an npm package and returns their addresses.
func startNode(t *testing.T, name string, count int, ping time.Duration) (addrs []string) {
	t.Helper()
	dir := testenv.NodeDir(t, name)
	script, err := filepath.Abs(filepath.Join("testdata", "server.cjs"))
	if err != nil {
		t.Fatal(err)
	}
	for range count {
		port := strconv.Itoa(testenv.FreePort(t))
		testenv.Start(t, []string{"NODE_PATH=" + filepath.Join(dir, "node_modules")}, "node", script, name, port, strconv.FormatInt(ping.Milliseconds(), 10))
		addrs = append(addrs, "127.0.0.1:"+port)
	}
	for _, addr := range addrs {
		awaitListener(t, addr)
	}
	return addrs
}
