package main_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"posthouse/internal/testenv"
)

// untar reads an archive.
func untar(t *testing.T, data []byte) (files map[string][]byte, heads map[string]*tar.Header) {
	t.Helper()
	files, heads = map[string][]byte{}, map[string]*tar.Header{}
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, heads
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.Trim(strings.TrimPrefix(h.Name, "./"), "/")
		if files[name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		heads[name] = h
	}
}

// The image that is made without a container engine is a valid OCI archive: every digest and
// size is right, the program in it runs, and the same source gives the same bytes.
func TestImage_WithoutAnEngine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the image is made with GNU tar")
	}
	testenv.Need(t, "bash", "tar", "gzip", "sha256sum")
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, []byte("certificates\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var archives [][]byte
	for _, name := range []string{"a.tar", "b.tar"} {
		cmd := exec.Command(filepath.Join(testenv.Root(), ".ci", "image"), filepath.Join(dir, name))
		cmd.Env = append(os.Environ(), "BINARY="+testenv.Binary(t, "."), "CA_FILE="+ca, "ARCH="+runtime.GOARCH)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, data)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two images of the same program differ")
	}
	image, _ := untar(t, archives[0])
	type descriptor struct {
		Digest string
		Size   int
	}
	blob := func(d descriptor) []byte {
		t.Helper()
		algorithm, digest, _ := strings.Cut(d.Digest, ":")
		data := image["blobs/"+algorithm+"/"+digest]
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != digest || len(data) != d.Size {
			t.Fatalf("%s of %d bytes: %x, %d", d.Digest, d.Size, sum, len(data))
		}
		return data
	}
	read := func(data []byte, into any) {
		t.Helper()
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
	}
	var index struct{ Manifests []descriptor }
	read(image["index.json"], &index)
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	read(blob(index.Manifests[0]), &manifest)
	var config struct {
		Architecture, OS string
		Config           struct {
			User            string
			Entrypoint, Env []string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	read(blob(manifest.Config), &config)
	packed, err := gzip.NewReader(bytes.NewReader(blob(manifest.Layers[0])))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := io.ReadAll(packed)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(layer); config.RootFS.DiffIDs[0] != "sha256:"+hex.EncodeToString(sum[:]) {
		t.Errorf("diff id %s of %x", config.RootFS.DiffIDs[0], sum)
	}
	files, heads := untar(t, layer)
	if config.OS != "linux" || config.Architecture != runtime.GOARCH || config.Config.User != "65532:65532" {
		t.Errorf("%+v", config)
	}
	spool := heads["var/lib/posthouse"]
	if spool == nil || spool.Uid != 65532 || spool.Mode&0o777 != 0o700 || len(files["etc/ssl/certs/ca-certificates.crt"]) == 0 {
		t.Errorf("%+v", spool)
	}
	program := strings.TrimPrefix(config.Config.Entrypoint[0], "/")
	if heads[program] == nil || heads[program].Mode&0o111 == 0 || heads[program].Uid != 0 {
		t.Fatalf("%+v", heads[program])
	}
	run := filepath.Join(dir, "posthouse")
	if err := os.WriteFile(run, files[program], 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(run, "version").CombinedOutput(); err != nil || !strings.Contains(string(out), "Engine.IO 4, 3") {
		t.Errorf("%v: %s", err, out)
	}
}
